from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

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


def test_without_locks_the_body_runs_and_leaves_nothing_that_blocks_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "lock")
    for code in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):

        def refuse(*_: object, code: int = code) -> None:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", refuse)
            with exclusive(path) as first, exclusive(path, wait=False) as second:
                assert first
                assert second
    with exclusive(path, wait=False) as free:
        assert free


def test_a_lock_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"), exclusive(str(tmp_path / "file" / "lock")):
        pass


def test_a_link_in_a_shared_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="symbolic links"), exclusive(str(tmp_path / "lock")):
        pass
    assert not (tmp_path / "made").exists()
