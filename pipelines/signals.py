"""SIGTERM, from `ray job stop` or the eviction of a pod, ends a command the way Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from typing import NoReturn

_terminated = threading.Event()


def heed_sigterm() -> None:
    """From now on SIGTERM raises KeyboardInterrupt in the main thread. `ray.init` sets its own handler: call this
    again after it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def interrupted_code() -> int:
    """The exit code of an interrupted command: 128 plus the number of the signal that ended it."""
    return 128 + (signal.SIGTERM if _terminated.is_set() else signal.SIGINT)


def interrupt(*_: object) -> NoReturn:
    """The handler of SIGTERM. Raises KeyboardInterrupt."""
    _terminated.set()
    raise KeyboardInterrupt
