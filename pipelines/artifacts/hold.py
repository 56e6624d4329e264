"""One command at a time in an output folder, on all machines that share it.

On one machine the kernel says whether the holder lives. Others look at a file in the folder: it names the holder, who
writes it anew every few seconds. A holder that has given no sign for a minute is taken for dead. [ours]
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from itkm_core.errors import StorageError
from itkm_core.storage.locks import exclusive, node_lock
from itkm_core.storage.place import Place

HOLD_FILE = "in-use.json"
BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0


@contextlib.contextmanager
def held(
    place: Place,
    say: Callable[[str], object],
    *,
    beat_seconds: float = BEAT_SECONDS,
    stale_seconds: float = STALE_SECONDS,
) -> Iterator[None]:
    """Hold a folder, which must be the caller's already, for the block.

    say: is given a line if a holder seems to be dead: that it is being watched, and that its folder is taken over.

    Raises:
        StorageError: another process holds it, or it cannot be written.
    """
    file = place / HOLD_FILE
    name = os.path.realpath(place.resolve()[1]) if place.is_local else place.uri
    with exclusive(node_lock("hold", name), wait=False) as free:
        if not free:
            raise StorageError(_in_use(place, _read(file)))
        mine = {"host": socket.gethostname(), **_self(), "started": time.time()}
        _take(file, place, mine, say, stale_seconds)
        ended = threading.Event()
        keeper = threading.Thread(
            target=_keep, args=(file, mine, ended, beat_seconds), daemon=True, name="itkm-hold"
        )
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join(timeout=5)
            if _is(_read(file), mine):
                with contextlib.suppress(StorageError, OSError):
                    file.remove()


def _self() -> dict[str, Any]:
    """This process. Containers may share a host's name, but not the processes one of them sees."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return {"user": os.getuid(), "pid": os.getpid(), "processes": processes, "id": uuid4().hex}


def _take(
    file: Place, place: Place, mine: dict[str, Any], say: Callable[[str], object], stale: float
) -> None:
    found = _read(file)
    if found:
        # The lock of this machine and user is ours, so a holder with the same is dead.
        here = all(found.get(key) == mine[key] for key in ("host", "user", "processes"))
        if not here:
            _watch(file, place, found, say, stale)
        say(f"note: {place} was held by {_who(found)}, which has ended without a word; taking over")
    for _ in range(2):  # of two machines that write at once, the later one has it
        file.write_json({**mine, "beat": time.time()})
        if not place.is_local or found:
            time.sleep(min(1.0, stale / 10))
        now = _read(file)
        if now and not _is(now, mine):
            raise StorageError(_in_use(place, now))


def _watch(
    file: Place, place: Place, found: dict[str, Any], say: Callable[[str], object], stale: float
) -> None:
    """Wait until a holder elsewhere has given no sign for `stale` seconds. Raises StorageError if it gives one.

    Machines' clocks differ, so what counts is how long it stays as it is, seen from here.
    """
    say(f"note: {place} is held by {_who(found)}; waiting {stale:.0f} s for a sign of life")
    end = time.monotonic() + stale
    while time.monotonic() < end:
        time.sleep(min(1.0, stale / 10))
        now = _read(file)
        if not now:
            return
        if now != found:
            raise StorageError(_in_use(place, now))


def _keep(file: Place, mine: dict[str, Any], ended: threading.Event, beat: float) -> None:
    """Give a sign every `beat` seconds; end this process if another has taken over, as after a long suspension."""
    while not ended.wait(beat):
        now = _read(file)
        if now and not _is(now, mine):
            if not ended.is_set():
                os.kill(os.getpid(), signal.SIGTERM)
            return
        with contextlib.suppress(StorageError, OSError):  # the next sign may get through
            file.write_json({**mine, "beat": time.time()})


def _read(file: Place) -> dict[str, Any]:
    """Who holds; empty if nobody does, or it cannot be read."""
    try:
        found = file.read_json() if file.exists() else None
    except (StorageError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _is(found: dict[str, Any], mine: dict[str, Any]) -> bool:
    return found.get("id") == mine["id"]


def _who(found: dict[str, Any]) -> str:
    started = found.get("started")
    since = (
        f" since {time.strftime('%d %b %H:%M', time.localtime(started))}"
        if isinstance(started, float)
        else ""
    )
    return f"process {found.get('pid', '?')} on {found.get('host', '?')}{since}"


def _in_use(place: Place, found: dict[str, Any]) -> str:
    return f"{place} is in use by {_who(found)}: wait for it, stop it, or give another --out"
