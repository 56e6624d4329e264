"""One connection to each object store, with the patience that a long run on many nodes needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pyarrow import fs

MAX_ATTEMPTS = 10
"""Tries of one request, waiting up to 20 s between two: a store that throttles (503 SlowDown) for a
minute ends no run; one that is gone is an error after about that. [ours]"""

CONNECT_SECONDS, REQUEST_SECONDS = 10.0, 30.0
"""Without an answer, and without a byte. The SDK's own 1 s and 3 s cut off a store that is only busy. [ours]"""


_REFUSED_LENGTHILY = "flush response stream"

T = TypeVar("T")


class _PatientS3(fs.S3FileSystem):
    """S3 whose retries go along when it is sent to another process; pyarrow's own pickles forget them."""

    def __reduce__(self) -> Any:
        return _patient, (_options(super()),)


@lru_cache(maxsize=64)
def connect(root: str) -> fs.FileSystem:
    """The file system of `scheme://bucket?options`, made once per process.

    Each one costs a look for credentials and, without a region, a request. Credentials that expire are
    renewed by the storage's own library.

    Raises:
        pyarrow.ArrowException, ValueError, OSError: as pyarrow.fs.
    """
    # pyarrow knows the options of an address and AWS_ENDPOINT_URL; it has none for timeouts or retries.
    filesystem, _ = fs.FileSystem.from_uri(root)
    if not isinstance(filesystem, fs.S3FileSystem):
        return filesystem
    return _patient(
        {
            **_options(filesystem),
            "connect_timeout": CONNECT_SECONDS,
            "request_timeout": REQUEST_SECONDS,
            "allow_delayed_open": True,  # a file of a few MB is one request instead of three
        }
    )


def patiently(read: Callable[[], T]) -> T:
    """What `read()` returns; it is called again when a busy store refused a read of fewer bytes than it said so in.

    AWS's SDK has room for as many bytes as were asked for, and it takes a refusal (503 SlowDown, some 300 bytes)
    that does not fit for a fault of its own, which it does not retry. Ray Data does the same for what it reads.

    Raises:
        OSError: as `read`.
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
