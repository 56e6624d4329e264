"""The ablation's table from made-up scores."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import pytest

from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from pipelines.ablate.plan import Plan, plan_rows
from pipelines.ablate.plot import plot
from pipelines.ablate.result import Key, Result, summarise
from pipelines.ablate.scores import Scores, read_scores
from pipelines.ablate.tables import as_markdown, as_rich, main_cells, number
from pipelines.artifacts.run_folder import RunFolder
from pipelines.console import Console
from pipelines.run.dag import plan_rounds

SCENARIOS = ("ucc", "uvi")
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_rows("tiny", [], SCENARIOS)


def scores(ucc: float, uvi: float, match: float | None = None) -> Scores:
    return {
        name: {
            "mean_ap": value,
            "rank_1": value + 0.1,
            "zero_shot": 0.1,
            "match_accuracy": match,
            "reliable_accuracy": None,
        }
        for name, value in (("ucc", ucc), ("uvi", uvi))
    }


@pytest.fixture
def made() -> dict[Key, Scores]:
    return {
        ("baseline", 0): scores(0.2, 0.3),
        ("scenario-embedding", 0): scores(0.30, 0.40),
        ("scenario-embedding", 1): scores(0.32, 0.36),
        ("full", 0): scores(0.40, 0.44, 0.6),
        ("full", 1): scores(0.42, 0.50, 0.8),
        ("without-chm", 0): scores(0.30, 0.30),
        ("without-chm", 1): scores(0.32, 0.30),
        ("without-ihm", 0): scores(0.40, 0.50),
        ("without-ihm", 1): scores(0.42, 0.40),
        ("single-scenario/ucc", 0): {"ucc": scores(0.35, 0)["ucc"]},
        ("single-scenario/uvi", 0): {"uvi": scores(0, 0.25)["uvi"]},
        ("single-scenario/uvi", 1): {"uvi": scores(0, 0.35)["uvi"]},
    }


@pytest.fixture
def result(plan: Plan, made: dict[Key, Scores]) -> Result:
    failures = {("full", 2): "loss is not finite\nat step 3"}
    asked = plan.chosen(["text-guidance"])
    found = summarise(plan, SEEDS, SCENARIOS, made, failures, asked)
    return {"recipe": "tiny", "command": "itkm ablate", **found}


def row(result: Result, name: str) -> Any:
    return next(row for row in result["rows"] if row["name"] == name)


def test_mean_and_deviation_over_seeds(result: Result) -> None:
    found = row(result, "full")["scores"]["mean_ap"]
    assert found["scenarios"]["uvi"]["mean"] == pytest.approx(0.47)
    assert found["scenarios"]["uvi"]["deviation"] == pytest.approx(0.03 * 2**0.5)
    assert found["scenarios"]["uvi"]["values"] == {"0": 0.44, "1": 0.50}
    assert found["average"]["values"] == pytest.approx({"0": 0.42, "1": 0.46})
    assert row(result, "full")["scores"]["match_accuracy"]["average"]["mean"] == pytest.approx(0.7)


def test_one_seed_has_no_deviation_and_no_run_no_mean(result: Result) -> None:
    one = row(result, "baseline")["scores"]["mean_ap"]["average"]
    assert (one["mean"], one["deviation"]) == (pytest.approx(0.25), None)
    none = row(result, "text-guidance")["scores"]["mean_ap"]["average"]
    assert none == {"mean": None, "deviation": None, "values": {}}


def test_gains_are_taken_seed_by_seed(result: Result) -> None:
    gain = row(result, "full")["gain"]
    assert gain["average"]["values"] == pytest.approx({"0": 0.07, "1": 0.12})
    assert gain["lowest"] == pytest.approx(0.04)  # uvi, seed 0
    assert row(result, "baseline")["gain"]["average"]["mean"] == pytest.approx(-0.10)


def test_an_average_needs_every_scenario_of_the_seed(result: Result) -> None:
    single = row(result, "single-scenario")["scores"]["mean_ap"]
    assert single["scenarios"]["uvi"]["values"] == {"0": 0.25, "1": 0.35}
    assert single["average"]["values"] == pytest.approx({"0": 0.30})


def test_a_removal_is_judged_by_the_deviation_of_its_change(result: Result) -> None:
    verdicts = {removal["name"]: removal["verdict"] for removal in result["removals"]}
    assert verdicts == {"without-chm": "needed", "without-ihm": "within the deviation"}


def test_a_removal_that_helps_says_so(plan: Plan, made: dict[Key, Scores]) -> None:
    made |= {("without-ihm", seed): scores(0.6, 0.6) for seed in (0, 1)}
    found = summarise(plan, SEEDS, SCENARIOS, made, {})
    verdict = {removal["name"]: removal["verdict"] for removal in found["removals"]}["without-ihm"]
    assert verdict == "its removal helps"


def test_rows_are_those_asked_for_and_those_with_a_run(result: Result) -> None:
    assert [row["name"] for row in result["rows"]] == [
        "baseline",
        "scenario-embedding",
        "text-guidance",
        "full",
        "without-chm",
        "without-ihm",
        "single-scenario",
    ]
    states = [run["status"] for run in row(result, "full")["runs"]]
    assert states == ["done", "done", "failed"]


def test_the_markdown_has_the_numbers_and_names_what_failed(result: Result) -> None:
    text = as_markdown(result)
    line = next(line for line in text.splitlines() if line.startswith("| + DRU = full method"))
    assert "44.0 ± 2.8" in line
    assert "+9.5 ± 3.5" in line
    assert "+4.0" in line
    assert "70.0 ± 14.1" in line
    assert "2/3, 1 failed" in line
    assert "- full, seed 2: loss is not finite at step 3" in text
    assert "| full without CHM | -13.5 ± 2.1 |" in text
    assert "| zero-shot | 10.0 |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


@pytest.mark.parametrize(("overlap", "said"), [({}, 1), ({"overlap": 0.25}, 0.25)])
def test_the_markdown_says_how_its_people_were_drawn(
    result: Result, overlap: dict[str, float], said: float
) -> None:
    drawn = {"people_train": 200, "people_test": 100, "images": 4, "seed": 41, "cast": 0.25}
    text = as_markdown({**result, "synthetic": [{**drawn, **overlap}]})
    line = f"people_train 200, people_test 100, images 4, seed 41, overlap {said}."
    assert f"Synthetic people: {line}" in text.splitlines()
    assert "Synthetic" not in as_markdown(result)


def test_the_terminals_table_fits_eighty_columns(result: Result) -> None:
    head, lines = main_cells(result)
    assert {len(line) for line in lines} == {len(head)}
    console = Console(file=io.StringIO(), width=80)
    console.print(as_rich(result, "ablation"))
    shown = console.file.getvalue()
    for cell in ("44.0 ± 2.8", "+9.5 ± 3.5", "70.0 ± 14.1", "2/3, 1 failed"):
        assert cell in shown


def test_nothing_at_all_is_a_table_too(plan: Plan) -> None:
    found = summarise(plan, SEEDS, SCENARIOS, {}, {("full", 0): "broken"}, plan.chosen(["full"]))
    text = as_markdown({"recipe": "tiny", "command": "", **found})
    assert "0/3, 1 failed" in text
    assert number(found["zero_shot"]["average"]) == "-"


def test_the_plot_is_the_same_for_the_same_result(result: Result) -> None:
    first, second = plot(result), plot(result)
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"full method" in first["svg"] or b"<path" in first["svg"]


def test_without_matplotlib_the_extra_is_named(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"itkm\[report\].*--no-plot"):
        plot(result)


def test_scores_are_read_from_the_manifests(tmp_path: Path) -> None:
    rounds = plan_rounds([("uvi", 0), ("uvi", 1)], 1, 2)
    run = RunFolder(Place.at(tmp_path))

    def direction(query: int, mean_ap: float | None, rank_1: float | None) -> dict[str, Any]:
        return {
            "scenario": "uvi",
            "query_group": query,
            "gallery_group": 1 - query,
            "mean_ap": mean_ap,
            "rank_1": rank_1,
        }

    matched = {"uvi": {"clusters": {"accuracy": 0.5, "reliable_accuracy": None}}}
    facts: dict[str, dict[str, Any]] = {
        "round-001": {"retrieval": [direction(1, 0.1, 0.2), direction(0, 0.2, 0.2)]},
        "round-002": {"retrieval": [], "matches": {"uvi": {"clusters": {"accuracy": 0.1}}}},
        "round-003": {"retrieval": [], "matches": matched},
        "final": {
            "retrieval": [
                direction(1, 0.3, 0.4),
                {**direction(1, 0.9, 0.9), "name": "another setting of its protocol"},
                direction(0, None, None),
            ]
        },
    }
    for folder, each in facts.items():
        name = f"{folder}/evaluate"
        run.finish(name, inputs={}, digest="d", facts=each, started=0.0)
    assert read_scores(run, rounds, ["uvi", "ucc"]) == {
        "uvi": {
            "mean_ap": 0.3,
            "rank_1": 0.4,
            "zero_shot": pytest.approx(0.15),
            "match_accuracy": 0.5,
            "reliable_accuracy": None,
        },
        "ucc": dict.fromkeys(
            ("mean_ap", "rank_1", "zero_shot", "match_accuracy", "reliable_accuracy")
        ),
    }
