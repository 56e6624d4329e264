"""One process at a time: advisory file locks, let go by the kernel when their holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator


def node_lock(what: str, name: str) -> str:
    """Path of the lock file of this user's `what` called `name` on this machine: in its temporary folder, since
    a home folder may be shared by many machines."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"itkm-{what}-{os.getuid()}-{digest}.lock")


@contextlib.contextmanager
def exclusive(path: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file `path`; yields False when `wait` is off and another process holds it.

    On a file system without locks the body runs unlocked (and True is yielded): callers use the
    lock to save double work, and atomic renames to stay correct.
    """
    with open(path, "ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError:
            yield True
            return
        try:
            yield True
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
