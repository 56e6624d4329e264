from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from itkm_core.corpus.checks.quality import picture_issues

USUAL = {"height": 128, "width": 64, "mean": 100.0, "spread": 40.0, "sharpness": 0.6}


def found(*changes: dict, scenario: str = "uvi") -> dict[int, tuple[str, float]]:
    """Kinds by sample_id, of 9 usual pictures and these; a low-resolution group of smooth pictures beside them."""
    rows = [{**USUAL, "group": 0, **change} for change in ({},) * 9 + changes]
    rows += [{**USUAL, "height": 20, "width": 10, "sharpness": 0.2, "group": 1}] * 9
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns |= {"sample_id": np.arange(len(rows)) + 100, "scenario": [scenario] * len(rows)}
    table = pa.table(columns)
    tables = picture_issues(table, table)
    return {
        row["sample_id"] - 109: (row["kind"], row["value"])
        for each in tables
        for row in each.to_pylist()
    }


def test_usual_pictures_and_a_group_of_low_resolution_are_fine() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spread": 1.9, "sharpness": 0.0}, ("constant", 1.9)),
        ({"spread": 2.1}, None),
        ({"mean": 19.0}, ("dark", 19.0)),
        ({"mean": 21.0}, None),
        ({"sharpness": 0.29}, ("blurred", 0.29 / 0.6)),
        ({"sharpness": 0.31}, None),
        ({"sharpness": float("nan")}, None),
        ({"height": 31, "width": 15}, ("tiny", 31)),
        ({"height": 31, "width": 15, "sharpness": 0.1}, ("tiny", 31)),
        ({"height": 33, "width": 16}, None),
        ({"height": 40, "width": 7}, ("tiny", 40)),
        ({"height": 40, "width": 60}, ("odd_aspect", 2 / 3)),
        ({"height": 390, "width": 64}, ("odd_aspect", 390 / 64)),
        ({"height": 380, "width": 64}, None),
    ],
)
def test_each_limit(change: dict, expected: tuple[str, float] | None) -> None:
    got = found(change).get(0)
    assert (got and got[0]) == (expected and expected[0])
    assert got is None or got[1] == pytest.approx(expected[1])


def test_details_say_what_was_measured() -> None:
    columns = {name: [value] * 3 for name, value in USUAL.items()}
    columns |= {"mean": [4.0, 100, 100], "sharpness": [0.6, 0.1, 0.6]}
    table = pa.table({**columns, "sample_id": [0, 1, 2], "scenario": ["a"] * 3, "group": [0, 0, 0]})
    details = [row["detail"] for each in picture_issues(table, table) for row in each.to_pylist()]
    assert details == ["mean of 4 of 255", "17% of the usual sharpness"]
