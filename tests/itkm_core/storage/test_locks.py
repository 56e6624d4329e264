from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

from itkm_core.storage.locks import exclusive


def hold(path: str, ready) -> None:
    with exclusive(path):
        ready.set()
        signal.pause()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with exclusive(path) as first, exclusive(path, wait=False) as second:
        assert first
        assert not second
    with exclusive(path, wait=False) as third:
        assert third


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(path, ready))
    holder.start()
    try:
        assert ready.wait(30)
        with exclusive(path, wait=False) as free:
            assert not free
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.join(30)
    with exclusive(path, wait=False) as free:
        assert free
