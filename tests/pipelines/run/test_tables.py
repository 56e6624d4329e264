"""What a run prints: lines of its steps and rounds, tables, what to do next."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import Manifest, RunFolder
from pipelines.console import Console
from pipelines.run.command import print_next
from pipelines.run.dag import Kind, Step, plan_rounds
from pipelines.run.tables import (
    evaluation_table,
    evaluation_tables,
    gain_tables,
    print_round,
    print_step,
    quality_table,
    threshold_table,
)

TRAINING = {"first_loss": 4.0, "loss": 1.5, "images_per_second": 100.0, "start_seconds": 2.0}
PROMPTS = {
    **TRAINING,
    "prompts": 76,
    "own_prompt_share": 0.97,
    "scenario_cosine_before": 0.8,
    "scenario_cosine": 0.12,
}
CLUSTERS = {
    "num_pairs": 40,
    "num_reliable": 32,
    "mutual_share": 0.78,
    "image_text_agreement": 0.25,
}
SIDES = [{"num_images": 30, "mean_size": 6.0}, {"num_images": 10, "mean_size": 6.4}]
LABELS = {
    "images": 10,
    "clusters": 3,
    "outlier_share": 0.1,
    "largest_share": 0.4,
    "agreement": 0.9,
}


def line(kind: Kind, facts: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=400)
    step = Step("round-002/x", "x", kind, ())
    print_step(console, step, Manifest({}, "d", facts, 1.0), False)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        (Kind.FROZEN, {"images": 384, "actors": 2}, ["384 images, 2 encoders"]),
        (
            Kind.PROMPTS,
            PROMPTS,
            [
                "76 prompts",
                "own nearest 97 %",
                "between-scenario cosine 0.80 -> 0.12",
                "loss 4.000",
            ],
        ),
        (
            Kind.MATCH,
            {"text": False, "clusters": {**CLUSTERS, "by_chance": 12.4}, "warning": ""},
            ["32 reliable (strangers alone: about 12), 78 %"],
        ),
        (
            Kind.MATCH,
            {"text": True, "clusters": CLUSTERS, "instances": SIDES, "warning": ""},
            [
                "40 matched, 32 reliable",
                "78 % mutual best",
                "25 %",
                "6.1 instance positives per image",
            ],
        ),
        (Kind.MATCH, {"text": True, "warning": ""}, ["texts updated\n"]),
        (Kind.LABEL, {**LABELS, "eps": 0.55, "eps_reason": "why"}, ["0.900, eps 0.55 (auto)\n"]),
        (Kind.LABEL, {**LABELS, "eps": 0.55, "eps_reason": ""}, ["agreement 0.900\n"]),
        (Kind.TRAIN, {**TRAINING, "loss": None}, ["no step was left"]),
        (Kind.MATCH, {"text": False, "warning": "uvi: only 3 %."}, ["warning: uvi: only 3 %."]),
    ],
)
def test_a_step_says_what_came_of_it(kind: Kind, facts: dict[str, Any], said: list[str]) -> None:
    shown = line(kind, facts)
    for words in said:
        assert words in shown


def test_one_scenario_has_no_cosine_between_scenarios() -> None:
    shown = line(Kind.PROMPTS, {**PROMPTS, "scenario_cosine": None, "scenario_cosine_before": None})
    assert "cosine" not in shown


def test_the_rounds_line_has_the_matches_where_they_are_scored() -> None:
    _, second, _ = plan_rounds([("uvi", 0), ("uvi", 1)], 1, 1)
    scores = {
        "clusters": {"accuracy": 0.5, "reliable_accuracy": 0.6},
        "instances": [{"image_precision": 0.2}, {"image_precision": None}],
    }
    facts: dict[Kind, dict[str, Any]] = {
        Kind.LABEL: LABELS,
        Kind.TRAIN: TRAINING,
        Kind.EVALUATE: {"matches": {"uvi": scores}},
    }
    manifests = {
        step.name: Manifest({}, "d", facts.get(step.kind, {}), 1.0) for step in second.steps
    }
    console = Console(file=io.StringIO(), width=400)
    print_round(console, second, manifests)
    shown = console.file.getvalue()
    assert "correct matches uvi 50.0 (reliable 60.0) instances 20.0/-" in shown
    assert "loss 1.500" in shown


NAMES = ("ucc", "clothes-2")
BLOCKS = [(name, group) for name in NAMES for group in (0, 1)]
RETRIEVAL = [
    {
        "scenario": name,
        "query_group": query,
        "gallery_group": 1 - query,
        **dict.fromkeys(("mean_ap", "mean_inp", "rank_1", "rank_5", "rank_10"), score),
        "num_queries": 123_456,
        "num_skipped": 12_345,
    }
    for name, score in zip(NAMES, (1.0, 0.384), strict=True)
    for query in (1, 0)
]
QUALITY = [
    {
        "group": f"{name}/{group}",
        **dict.fromkeys(("ari", "nmi", "coverage", "purity"), 1.0),
        "num_clusters": 123_456,
        "num_persons": 123_456,
    }
    for name, group in BLOCKS
]


def rows(*tables: Table, width: int = 80) -> list[str]:
    """The printed lines of tables, those of headings and frames left out, one line per row of a table."""
    console = Console(file=io.StringIO(), width=width)
    for table in tables:
        console.print(table)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    shown = [line for line in lines if line.startswith("│")]
    assert len(shown) == sum(table.row_count for table in tables)  # no cell is wrapped
    assert sum(line.startswith("┃") for line in lines) == len(tables)  # nor a heading
    return [" ".join(line.replace("│", " ").split()) for line in shown]


def finished(place: Path, evaluated: bool) -> tuple[RunFolder, Any]:
    """A run of two scenarios whose first and last rounds are labelled, and evaluated if there is anything to."""
    run = RunFolder(Place.at(str(place)))
    rounds = plan_rounds(BLOCKS, 1, 1, evaluate="ends" if evaluated else None)
    for each, share in ((rounds[0], 1.0), (rounds[-1], 0.125)):
        for step in each.of(Kind.LABEL):
            facts = {"clusters": int(12_345 / share), "outlier_share": share}
            run.finish(step.name, inputs={}, digest="d", facts=facts, started=0.0)
        for step in each.of(Kind.EVALUATE):
            facts = {"retrieval": RETRIEVAL, "labels": QUALITY}
            run.finish(step.name, inputs={}, digest="d", facts=facts, started=0.0)
    return run, rounds


def test_gains_fit_a_terminal(tmp_path: Path) -> None:
    shown = rows(*gain_tables(*finished(tmp_path, evaluated=True)))
    assert shown[0] == "ucc 1->0 100.0 -> 100.0 100.0 -> 100.0"
    assert shown[3] == "clothes-2 0->1 38.4 -> 38.4 38.4 -> 38.4"
    assert shown[4] == "ucc/0 100.0 -> 100.0 12,345 -> 98,760 100.0 -> 12.5"
    assert [line.split()[0] for line in shown[4:]] == [row["group"] for row in QUALITY]


def test_gains_without_identities_are_those_of_the_labels(tmp_path: Path) -> None:
    (labels,) = gain_tables(*finished(tmp_path, evaluated=False))
    assert rows(labels)[0] == "ucc/0 12,345 -> 98,760 100.0 -> 12.5"


def test_evaluations_fit_a_terminal() -> None:
    shown = rows(evaluation_table(RETRIEVAL, "retrieval, round-002"))
    assert shown[0] == "ucc 1->0 100.0 100.0 100.0 100.0 100.0 123,456"
    shown = rows(evaluation_table([{**row, "num_skipped": 0} for row in RETRIEVAL], "all"))
    assert shown[3] == "clothes-2 0->1 38.4 38.4 38.4 38.4 38.4 123,456"
    shown = rows(quality_table(QUALITY, "pseudo-labels, round-002"))
    assert shown[3] == "clothes-2/1 100.0 100.0 100.0 100.0 123,456 123,456"


def test_thresholds_fit_a_terminal() -> None:
    keys = ("fnmr_at_fmr_0.01", "fnmr_at_fmr_0.001", "open_set_auc", "new_person_error")
    more = {**dict.fromkeys(keys, 1.0), "new_person_threshold": -0.8125}
    (_, thresholds, _) = evaluation_tables(
        {"retrieval": [{**row, **more} for row in RETRIEVAL], "labels": QUALITY}, "final"
    )
    assert rows(thresholds)[3] == "clothes-2 0->1 100.0 100.0 100.0 100.0 -0.812"
    nobody = {**RETRIEVAL[0], **dict.fromkeys(more)}
    assert rows(threshold_table([nobody], "thresholds")) == ["ucc 1->0 - - - - -"]
    assert len(evaluation_tables({"retrieval": RETRIEVAL, "labels": QUALITY}, "final")) == 2


def test_a_long_name_is_folded_and_numbers_are_not() -> None:
    long = [{**row, "scenario": "a-scenario-of-thirty-characters"} for row in RETRIEVAL]
    console = Console(file=io.StringIO(), width=80)
    console.print(evaluation_table(long, "retrieval"))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith(" 123,456 │") for line in lines) == len(long)


def settings_of_a_protocol() -> list[dict[str, Any]]:
    names = ("all-search single-shot", "all-search 10-shot")
    deviations = dict.fromkeys(("mean_ap", "mean_inp", "rank_1", "rank_5", "rank_10"), 0.0123)
    return [
        {**RETRIEVAL[0], "scenario": "sysu-mm01", "name": name, "num_draws": 10, "std": deviations}
        for name in names
    ]


def test_a_protocols_settings_are_told_with_their_deviation() -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(evaluation_table([*settings_of_a_protocol(), RETRIEVAL[1]], "retrieval"))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    at = next(number for number, line in enumerate(lines) if "sysu-mm01 1->0 │ 100.0" in line)
    assert lines[at + 1].startswith("│ all-search single-shot │ ±1.2 │")
    assert "left out: sysu-mm01 1->0 all-search single-shot 12,345" in " ".join(lines)


def test_one_line_has_one_setting_of_a_protocol() -> None:
    rows = [*settings_of_a_protocol(), *RETRIEVAL[:2]]
    told = line(Kind.EVALUATE, {"retrieval": rows, "labels": []})
    assert "mAP sysu-mm01 1->0 100.0, ucc 1->0 100.0, ucc 0->1 100.0" in told


def test_skipped_queries_are_told() -> None:
    some = [{**row, "num_skipped": 0} for row in RETRIEVAL[1:]]
    console = Console(file=io.StringIO(), width=80)
    console.print(evaluation_table([RETRIEVAL[0], *some], "retrieval"))
    assert "queries without a match, left out: ucc 1->0 12,345 " in console.file.getvalue()
    console = Console(file=io.StringIO(), width=80)
    console.print(evaluation_table(some, "retrieval"))
    assert "left out" not in console.file.getvalue()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (".venv/bin/itkm", ".venv/bin/itkm"),
        ("/home/me/.venv/bin/itkm", "itkm"),
        ("pipelines/cli.py", "itkm"),
    ],
)
def test_what_to_do_next_is_shown_as_it_can_be_typed(
    typed: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [typed, "run"])
    monkeypatch.chdir(tmp_path)
    run = RunFolder(Place.at(str(tmp_path / "demo/run")))
    console = Console(file=io.StringIO(), width=80)
    print_next(console, run, scored=True)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert f"all scores             {shown} evaluate demo/run" in lines
    assert f"your own pictures      {shown} ingest --as folder PATH --out corpus" in lines
    assert "export" not in console.file.getvalue()
    console = Console(file=io.StringIO(), width=80)
    print_next(console, run, scored=False, tracked=True)
    assert "evaluate demo/run" not in console.file.getvalue()
    said = f"the tracker's files    {shown} export demo/run --as mot --out identities\n"
    assert said in console.file.getvalue()
