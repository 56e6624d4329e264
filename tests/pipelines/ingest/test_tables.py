"""The table of a corpus."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from itkm_core.corpus.schema import REJECTED_SCHEMA
from pipelines.console import Console
from pipelines.ingest.tables import print_summary, summary_notes, summary_rows, summary_table


def test_a_corpus_fits_a_terminal() -> None:
    index = pa.table(
        {
            "scenario": ["clothes-2", "uvi"],
            "group": [0, 1],
            "split": ["gallery", "train"],
            "camera": [3, 4],
            "tracklet": [-1, -1],
            "height": [64, 128],
        }
    )
    corpus: Any = SimpleNamespace(
        num_images=1_234_567,
        has_tracklets=False,
        collections=dict,
        index=index.select,
        rejected=lambda: pa.table({"path": ["a.jpg"]}),
    )
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(corpus))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [" ".join(line.replace("│", " ").split()) for line in lines if line[0] == "│"] == [
        "clothes-2 0 gallery 1 1 64",
        "uvi 1 train 1 1 128",
    ]
    assert "1 pictures set aside, see rejected.parquet" in lines[-1]


def test_what_a_user_should_know_is_said_whatever_the_names() -> None:
    rejected = {
        "uri": "[red]a.jpg",
        "scenario": "",
        "reason": "outside",
        "detail": "leads [/b] out",
    }
    names = {str(number): f"[b]cam{number}" for number in range(1, 23)}
    grey = {"source": "s", "num": 1200, "low": 231, "high": 3855, "depth": 16}
    corpus: Any = SimpleNamespace(
        num_images=1,
        has_tracklets=False,
        collections=dict,
        index=pa.table(
            {
                "scenario": ["uvi"],
                "group": [0],
                "split": ["train"],
                "camera": [3],
                "tracklet": [-1],
                "height": [64],
            }
        ).select,
        rejected=lambda: pa.Table.from_pylist([rejected] * 2),
        record={
            "left_out": [{"source": "[p]", "kind": "no picture", "num": 3, "example": "x.txt"}],
            "derived": [{"scenario": "uvi", "group": 1, "by": "clothes"}],
            "camera_names": {"uvi": names},
            "issues": [{"kind": "leak", "num": 2, "example": "[q].jpg"}],
            "sixteen_bit": [grey, {**grey, "depth": 12}, {**grey, "high": 60_000}],
        },
    )
    console = Console(file=io.StringIO(), width=80)
    print_summary(console, corpus)
    lines = console.file.getvalue().splitlines()
    assert lines[-6] == "set aside: 2 outside, such as '[red]a.jpg' (leads [/b] out)"
    assert lines[-5] == "left out of [p]: 'x.txt' and 2 more: no picture"
    assert lines[-4].startswith("uvi/1 shows the training pictures of uvi/0 in other clothes")
    assert lines[-3].startswith("cameras of uvi, numbered by name: 1 = [b]cam1, 2 = [b]cam2, ")
    assert lines[-3].endswith("20 = [b]cam20 and 2 more, see corpus.json")
    assert "1,200 pictures of s are 16-bit grey with values from 231 to 3,855" in lines[-2]
    assert lines[-1].startswith("warning: leak: 2 test pictures that are training pictures")


def test_a_corpus_from_before_has_less_to_say() -> None:
    empty = pa.Table.from_pylist([], schema=REJECTED_SCHEMA)
    assert (
        list(summary_notes(SimpleNamespace(rejected=lambda: empty, record={}, collections=dict)))
        == []
    )  # type: ignore[arg-type]


def test_tracklets_are_counted_by_camera() -> None:
    index = pa.table(
        {
            "scenario": ["uvi"] * 6,
            "group": [0, 0, 0, 0, 0, 1],
            "split": ["train"] * 6,
            "camera": [1, 1, 2, 2, 2, 3],
            "tracklet": [7, 7, 7, 8, -1, -1],
            "height": [64] * 6,
        }
    )
    corpus: Any = SimpleNamespace(
        num_images=6,
        has_tracklets=True,
        index=index.select,
        rejected=lambda: pa.table({"path": []}),
    )
    assert [row["num_tracklets"] for row in summary_rows(corpus)] == [3, 0]
    console = Console(file=io.StringIO(), width=80)
    console.print(summary_table(corpus))
    rows = [line.replace("│", " ").split() for line in console.file.getvalue().splitlines()]
    assert ["uvi", "0", "train", "5", "2", "3", "64"] in rows
