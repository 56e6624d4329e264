"""What the command prints when it is interrupted, terminated or broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

# Ctrl-C while a command reads its recipe: a signal from outside would have to come at the right moment.
INTERRUPTED = """
import pipelines.cli as cli
def pressed(*_): raise KeyboardInterrupt
cli.load_config = pressed
cli.main(["config"])
"""
BROKEN = INTERRUPTED.replace("raise KeyboardInterrupt", "return 1 / 0")


def test_ctrl_c_says_how_to_go_on_and_exits_with_130() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert done.stderr.strip() == (
        "interrupted; the same command continues from the last complete step"
    )
    assert done.stdout == ""


def test_a_fault_shows_where_it_is_and_exits_with_1() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stderr.endswith("bug this is not your mistake; please report the above\n")


WAITING = """
import time
import pipelines.cli as cli
def wait(*_):
    print("waiting", flush=True)
    time.sleep(60)
cli.load_config = wait
cli.main(["config"])
"""


def test_sigterm_says_how_to_go_on_and_exits_with_143() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said.strip() == "interrupted; the same command continues from the last complete step"


def test_a_session_with_ray_leaves_sigterm_to_the_command_and_then_ray_alone(
    monkeypatch, tmp_path
) -> None:
    from io import StringIO
    from types import SimpleNamespace

    from pipelines import session, signals
    from pipelines.console import Console

    def init(**_: object) -> SimpleNamespace:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray sets a handler of its own
        return SimpleNamespace(dashboard_url="", address_info={"session_dir": str(tmp_path)})

    spilled = tmp_path / "ray_spilled_objects_node"
    spilled.mkdir()
    before = signal.getsignal(signal.SIGTERM)
    shut_down: list[str] = []
    monkeypatch.setattr(signals, "_terminated", threading.Event())
    monkeypatch.setattr(session.ray, "init", init)
    monkeypatch.setattr(session, "_have_restarts_noted", lambda: None)
    monkeypatch.setattr(session.ray, "shutdown", lambda: shut_down.append("now"))
    try:
        with session.ray_session(Console(file=StringIO())), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signals.interrupted_code() == 143
        assert shut_down == ["now"]  # the block went on to its end
        assert spilled.exists()  # Ray's own shutdown is there for it
        with pytest.raises(KeyboardInterrupt), session.ray_session(Console(file=StringIO())):
            signal.raise_signal(signal.SIGTERM)
        assert shut_down == ["now"]  # threads may still wait for Ray
        assert not spilled.exists()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_sigterm_while_ray_connects_is_no_other_than_later(monkeypatch) -> None:
    from io import StringIO

    from pipelines import session, signals
    from pipelines.console import Console

    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(signals, "_terminated", threading.Event())
    monkeypatch.setattr(session.ray, "init", init)
    try:
        with pytest.raises(KeyboardInterrupt), session.ray_session(Console(file=StringIO())):
            pass
        assert signals.interrupted_code() == 143
    finally:
        signal.signal(signal.SIGTERM, before)
