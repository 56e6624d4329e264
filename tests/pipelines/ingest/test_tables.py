"""The table of a corpus."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from rich.console import Console

from pipelines.ingest.tables import summary_table


def test_a_corpus_fits_a_terminal() -> None:
    index = pa.table(
        {
            "scenario": ["clothes-2", "uvi"],
            "group": [0, 1],
            "split": ["gallery", "train"],
            "camera": [3, 4],
            "height": [64, 128],
        }
    )
    corpus: Any = SimpleNamespace(
        num_images=1_234_567,
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
