"""One connection to each object store, with timeouts and retries for long runs on many nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pyarrow import fs

MAX_ATTEMPTS = 10
"""Attempts at one request, up to 20 s apart: a store that throttles (503 SlowDown) for a minute does
not end a run, and one that is gone is an error after about that long. [ours]"""

CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 30.0
"""To connect, and between bytes. The SDK's defaults of 1 s and 3 s give up on a store that is merely busy. [ours]"""


_REFUSED_LENGTHILY = "flush response stream"

T = TypeVar("T")


class _PatientS3(fs.S3FileSystem):
    """S3 that keeps its retries when it is pickled; pyarrow's own pickles lose them."""

    def __reduce__(self) -> Any:
        return _patient, (_options(super()),)


@lru_cache(maxsize=64)
def connect(root: str) -> fs.FileSystem:
    """The file system of `scheme://bucket?options`, made once per process.

    Making one looks up credentials and, without a region, sends a request. The storage's own library
    renews credentials that expire.

    Raises:
        pyarrow.ArrowException, ValueError, OSError: as pyarrow.fs.
    """
    # pyarrow reads options from the address and AWS_ENDPOINT_URL, but has none for timeouts or retries.
    filesystem, _ = fs.FileSystem.from_uri(root)
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    return _patient(
        {
            **_options(filesystem),
            "connect_timeout": CONNECT_SECONDS,
            "request_timeout": REQUEST_SECONDS,
            "allow_delayed_open": True,  # one request for a file of a few MB instead of three
        }
    )


def patiently(read: Callable[[], T]) -> T:
    """What `read()` returns, retried where a busy store's refusal was longer than the read itself.

    AWS's SDK makes room for as many bytes as were asked for. A refusal (503 SlowDown, some 300 bytes) that does
    not fit looks to it like an internal error, which it does not retry. Ray Data retries its own reads likewise.

    Raises:
        OSError: from `read`.
    """
    for attempt in range(MAX_ATTEMPTS - 1):
        try:
            return read()
        except OSError as error:
            if _REFUSED_LENGTHILY not in str(error):
                raise
            time.sleep(min(20.0, 0.05 * 2**attempt))
    return read()


def _patient(options: dict[str, Any]) -> _PatientS3:
    return _PatientS3(**options, retry_strategy=fs.AwsStandardS3RetryStrategy(MAX_ATTEMPTS))


def _options(filesystem: Any) -> dict[str, Any]:
    """Keyword arguments that make the same S3FileSystem.

    pyarrow gives them to pickle only, in a form it promises nobody: hence its upper bound in pyproject.toml.
    """
    _, (options,) = filesystem.__reduce__()
    return dict(options)
