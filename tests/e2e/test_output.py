"""What a run prints, as a newcomer sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def test_a_run_prints_no_line_but_its_own(whole: Path) -> None:
    """Ray Data or Ray's C++ code warns of something else if this fails: see pipelines/session.py."""
    assert (whole.parent / "stderr").read_text() == ""
    assert "core_worker" not in (whole.parent / "stdout").read_text()


def test_a_run_ends_with_tables_and_what_to_do_next(whole: Path) -> None:
    printed = (whole.parent / "stdout").read_text()
    frames = [line for line in printed.splitlines() if line[:1] in ("│", "┃", "┏", "└")]
    assert frames
    assert max(map(len, frames)) <= 80
    assert [line.split("  ")[0] for line in printed.partition("\nNext\n")[2].splitlines()] == [
        "all scores",
        "your own pictures",
        "what to read",
    ]
