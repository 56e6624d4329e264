"""The board's line: whose it is, and that it goes with the step."""

from __future__ import annotations

import pytest

from pipelines import telemetry
from pipelines.telemetry import GAUGES, _Board, describe


class NoGauge:
    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.values: list[tuple[float, dict[str, str]]] = []

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.values.append((value, tags))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> _Board:
    monkeypatch.setattr(telemetry, "Gauge", NoGauge)
    return _Board()


def test_a_line_goes_when_the_last_step_of_its_name_has_ended(board: _Board) -> None:
    board.enter("round-001 label")
    board.enter("round-001 label")
    board.leave("round-001 label")
    assert board.step == "round-001 label"
    board.leave("round-001 label")
    assert describe(*board.snapshot()) == ""


def test_a_step_that_waits_does_not_take_the_line_and_gets_it_afterwards(board: _Board) -> None:
    board.enter("round-002 extract")
    board.begin("round-002 extract", 100)
    board.advance(40, "")
    board.enter("round-002 frozen")
    assert "round-002 extract  40/100" in describe(*board.snapshot())
    board.leave("round-002 extract")
    assert board.step == "round-002 frozen"
    board.leave("round-002 frozen")
    assert board.step == ""


def test_gauges_are_named_and_tagged_as_listed(board: _Board) -> None:
    board.set("itkm_mutual_match_share", 0.7, scenario="uvi")
    assert board.gauges["itkm_mutual_match_share"].values == [(0.7, {"scenario": "uvi"})]
    assert GAUGES["itkm_mutual_match_share"][1] == ("scenario",)
    assert all(name.startswith("itkm_") and text for name, (text, _) in GAUGES.items())
