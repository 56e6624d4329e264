"""Means over runs, and `itkm evaluate` of several."""

from __future__ import annotations

import io
import statistics
from pathlib import Path
from typing import Any

import pytest

from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import open_run
from pipelines.console import Console
from pipelines.run.evaluate import print_mean, print_scores
from pipelines.run.mean_of_runs import mean_of_runs

SCORES = ("mean_ap", "mean_inp", "rank_1", "rank_5", "rank_10", "rank_20")


def row(score: float | None, query_group: int = 1, queries: int = 100) -> dict[str, Any]:
    return {
        "scenario": "regdb",
        "query_group": query_group,
        "gallery_group": 1 - query_group,
        "name": "thermal to visible" if query_group else "visible to thermal",
        "num_draws": 1,
        **dict.fromkeys(SCORES, score),
        "num_queries": queries,
        "num_skipped": 0,
        "std": dict.fromkeys(SCORES),
    }


def test_rows_are_matched_and_averaged() -> None:
    runs = [[row(0.5), row(0.1, 0)], [row(0.2, 0), row(0.9, queries=103)], [row(0.3), row(None, 0)]]
    first, second = mean_of_runs(["a", "b", "c"], runs)
    assert first["name"] == "thermal to visible"
    assert first["mean_ap"] == pytest.approx(statistics.fmean([0.5, 0.9, 0.3]), abs=1e-12)
    assert first["std"]["rank_20"] == pytest.approx(statistics.stdev([0.5, 0.9, 0.3]), abs=1e-12)
    assert (first["num_runs"], first["num_queries"]) == (3, 101)
    assert (second["mean_ap"], second["std"]["mean_ap"]) == (None, None)


def test_runs_tested_in_different_ways_are_told() -> None:
    with pytest.raises(ConfigError, match=r"only one of a and b has the row regdb 0->1 visible to"):
        mean_of_runs(["a", "b"], [[row(0.5), row(0.1, 0)], [row(0.5)]])
    plain = {key: value for key, value in row(0.5).items() if key != "name"}
    with pytest.raises(ConfigError, match=r"only one of a and b has the row regdb 1->0"):
        mean_of_runs(["a", "b"], [[plain], [row(0.5)]])


def test_several_runs_print_one_table(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"trial-{number}") for number in (1, 2)]
    for path, score in zip(paths, (0.5, 0.7), strict=True):
        run = open_run(Place.at(path), {}, {})
        facts = {"retrieval": [row(score)], "labels": []}
        run.finish("final/evaluate", inputs={}, digest="d", facts=facts, started=0.0)
    console = Console(file=io.StringIO(), width=200)
    where = str(tmp_path / "mean.json")
    print_mean(paths, where, console)
    printed = console.file.getvalue()
    assert "retrieval, mean of 2 runs" in printed
    assert " 60.0 " in printed
    assert " ±14.1 " in printed
    assert f"{paths[1]} (final/evaluate)" in printed
    kept = Place.at(where).read_json()
    assert kept["runs"][0] == {"run": paths[0], "step": "final/evaluate"}
    assert kept["retrieval"][0]["mean_ap"] == pytest.approx(0.6)
    print_mean(paths, where, console)  # its own may be replaced
    print_scores(paths[0], None, console)
    assert "retrieval, final/evaluate" in console.file.getvalue()
