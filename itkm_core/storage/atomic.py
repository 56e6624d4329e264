"""A local file appears whole or not at all, however many processes write it at once."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """A name beside `path` to write to; it becomes `path` at the end, and after an error nothing is left of it.

    The folder must exist. No two callers, threads or nodes get the same name.

    Raises:
        OSError: the file cannot be renamed.
    """
    # Not the process id: another node of a shared folder may have a process with that number.
    partial = f"{os.fspath(path)}.{uuid.uuid4().hex}.partial"
    try:
        yield partial
        os.replace(partial, path)
    finally:
        # Half a file on a full disk takes up room that the next attempt needs.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
