"""One command at a time in a folder: of this machine, of others, and after a holder's death."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from itkm_core.errors import StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts import hold
from pipelines.artifacts.hold import HOLD_FILE, held

ELSEWHERE = {"host": "elsewhere", "user": 0, "pid": 7, "processes": "", "id": "x", "started": 1.5e9}


def taken(folder: Path, **options: float) -> list[str]:
    said: list[str] = []
    with held(Place.at(folder), said.append, beat_seconds=0.05, stale_seconds=0.5, **options):
        assert json.loads((folder / HOLD_FILE).read_text())["pid"] == os.getpid()
    assert not (folder / HOLD_FILE).exists()
    return said


def test_a_folder_is_held_once_and_free_again(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    who = rf"is in use by process {os.getpid()} on {socket.gethostname()} since .*another --out"
    with (
        held(Place.at(tmp_path), print),
        pytest.raises(StorageError, match=who),
        held(Place.at(tmp_path / "link"), print),
    ):
        pass
    assert taken(tmp_path) == []


def test_a_holder_gives_signs(tmp_path: Path) -> None:
    with held(Place.at(tmp_path), print, beat_seconds=0.02):
        first = json.loads((tmp_path / HOLD_FILE).read_text())["beat"]
        deadline = time.monotonic() + 10
        while json.loads((tmp_path / HOLD_FILE).read_text())["beat"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_killed_holder_of_this_machine_is_followed_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pipelines.artifacts.hold import held; from itkm_core.storage.place import Place\n"
        "with held(Place.at(sys.argv[1]), print): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(StorageError, match=f"in use by process {process.pid}"):
        taken(tmp_path)
    process.kill()
    process.wait()
    process.stdout.close()
    started = time.monotonic()
    (line,) = taken(tmp_path)
    assert time.monotonic() - started < 5  # no waiting: it cannot be alive
    assert f"was held by process {process.pid}" in line
    assert "taking over" in line


def test_a_silent_holder_elsewhere_is_watched_and_then_followed(tmp_path: Path) -> None:
    (tmp_path / HOLD_FILE).write_text(json.dumps(ELSEWHERE))
    watched, followed = taken(tmp_path)
    assert "is held by process 7 on elsewhere since" in watched
    assert "taking over" in followed


def test_a_living_holder_elsewhere_is_left_alone(tmp_path: Path) -> None:
    file, ended = tmp_path / HOLD_FILE, threading.Event()

    def live() -> None:
        count = 0
        while not ended.wait(0.02):
            count += 1
            partial = file.with_suffix(".new")
            partial.write_text(json.dumps({**ELSEWHERE, "beat": count}))
            partial.replace(file)

    file.write_text(json.dumps(ELSEWHERE))
    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(StorageError, match="in use by process 7 on elsewhere"):
            taken(tmp_path)
    finally:
        ended.set()
        thread.join()
    assert json.loads(file.read_text())["pid"] == 7


@pytest.mark.parametrize("text", ["", "[]", "{", '{"host": 3, "started": "x"}'])
def test_a_file_of_any_contents_is_followed(tmp_path: Path, text: str) -> None:
    (tmp_path / HOLD_FILE).write_text(text)
    taken(tmp_path)


def test_a_holder_who_was_taken_over_ends(tmp_path: Path, monkeypatch: Any) -> None:
    """As after a suspension longer than others wait."""
    asked, sent = threading.Event(), []
    monkeypatch.setattr(hold.os, "kill", lambda *call: (sent.append(call), asked.set()))
    with held(Place.at(tmp_path), print, beat_seconds=0.02):
        (tmp_path / HOLD_FILE).write_text(json.dumps(ELSEWHERE))
        assert asked.wait(10)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert json.loads((tmp_path / HOLD_FILE).read_text()) == ELSEWHERE
