"""benchmarks/soak.py: what counts as flat."""

from __future__ import annotations

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_growth_is_from_the_sixth_round_on_by_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from soak import growths

    rounds = range(1, 31)
    samples = [
        {
            "flat": 100.0,
            "flat after the start": 10.0 * min(number, 6),
            "grows": 100.0 + number,
            "shrinks": 100.0 - number,
            "once": 500.0 if number == 28 else 100.0,
            "from nothing": 0.0 if number < 20 else 3.0,
        }
        for number in rounds
    ]
    found = {row["what"]: row for row in growths(samples)}
    assert [name for name, row in found.items() if not row["flat"]] == ["grows", "from nothing"]
    assert (found["grows"]["early"], found["grows"]["late"]) == (108.0, 128.0)
    assert found["grows"]["growth"] == 128 / 108
