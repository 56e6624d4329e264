"""One process at a time: advisory file locks, which the kernel releases when their holder dies."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator

from filelock import FileLock, Timeout


def node_lock(what: str, name: str) -> str:
    """Path of this user's lock file for `what` called `name` on this machine.

    It is in the temporary folder, since several machines may share a home folder.
    """
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"itkm-{what}-{os.getuid()}-{digest}.lock")


@contextlib.contextmanager
def exclusive(path: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path`; yields False when `wait` is off and another process holds it.

    On a file system without locks the body runs unlocked (and True is yielded): callers rely on the
    lock to avoid doing work twice, and on atomic renames for correctness.

    Raises:
        OSError: the lock file cannot be opened.
    """
    # filelock's own fallback is a marker file, which a killed holder would leave behind.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    except OSError:
        if not os.access(path, os.W_OK):
            raise
        yield True
        return
    try:
        yield True
    finally:
        lock.release()
