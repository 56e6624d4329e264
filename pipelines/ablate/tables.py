"""The tables that `itkm ablate` writes and prints: the same cells as Markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from pipelines.ablate.result import Result
from pipelines.run.tables import percent

Cells = tuple[list[str], list[list[str]]]
"""The header and the lines."""


def main_cells(result: Result) -> Cells:
    """Averages over the scenarios."""
    head = ["", "mAP", "gain", "lowest gain", "rank-1", "matches right", "reliable right", "runs"]
    zero = ["zero-shot", number(result["zero_shot"]["average"]), *[""] * (len(head) - 2)]
    lines = [zero]
    for row in result["rows"]:
        scores = {metric: number(found["average"]) for metric, found in row["scores"].items()}
        gain = row["gain"]
        own = row["name"] == result["reference"]
        lines.append(
            [
                row["title"],
                scores["mean_ap"],
                "reference" if own else number(gain["average"], sign=True),
                "" if own else percent(gain["lowest"], sign=True),
                scores["rank_1"],
                scores["match_accuracy"],
                scores["reliable_accuracy"],
                _count(row["runs"]),
            ]
        )
    return head, lines


def scenario_cells(result: Result, metric: str) -> Cells:
    """One score (or `gain`) in each scenario."""
    lines = []
    if metric == "mean_ap":
        zero = result["zero_shot"]["scenarios"]
        lines.append(["zero-shot", *[number(zero[name]) for name in result["scenarios"]]])
    for row in result["rows"]:
        found = row["gain"] if metric == "gain" else row["scores"][metric]
        if any(found["scenarios"][name]["values"] for name in result["scenarios"]):
            cells = [
                number(found["scenarios"][name], sign=metric == "gain")
                for name in result["scenarios"]
            ]
            lines.append([row["title"], *cells])
    return ["", *result["scenarios"]], lines


def removal_cells(result: Result) -> Cells:
    head = ["", "change of mAP", *result["scenarios"], ""]
    lines = [
        [
            removal["title"],
            number(removal["change"]["average"], sign=True),
            *[
                number(removal["change"]["scenarios"][name], sign=True)
                for name in result["scenarios"]
            ],
            removal["verdict"] or "-",
        ]
        for removal in result["removals"]
    ]
    return head, lines


def as_markdown(result: Result) -> str:
    """The page of the whole ablation."""
    reference = next(
        (row["title"] for row in result["rows"] if row["name"] == result["reference"]),
        result["reference"],
    )
    seeds = ", ".join(str(seed) for seed in result["seeds"])
    parts = [
        f"# Ablation of {result['recipe']}",
        f"    {result['command']}",
        *[_drawn(people) for people in result.get("synthetic", [])],
        f"Percent, mean ± sample deviation over the seeds {seeds}. mAP and rank-1: retrieval across the two "
        "groups of a scenario, mean of both directions. Gain: mAP above the row "
        f"*{reference}*, which trains for as many rounds and steps, seed by seed; lowest gain: of any scenario and "
        "seed. Matches right: share of the last round's matched clusters that are one person.",
        "## Average over scenarios",
        _markdown(main_cells(result)),
    ]
    for title, metric in (
        ("mAP by scenario", "mean_ap"),
        ("Gain by scenario", "gain"),
        ("Rank-1 by scenario", "rank_1"),
        ("Cluster matches right by scenario", "match_accuracy"),
    ):
        cells = scenario_cells(result, metric)
        parts += [f"## {title}", _markdown(cells)] if cells[1] else []
    if result["removals"]:
        parts += [
            "## What a removal changes",
            "mAP of the full method without a component minus mAP of the full method, seed by seed. A removal "
            "helps if it gains more than the deviation of that difference.",
            _markdown(removal_cells(result)),
        ]
    failed = list(dict.fromkeys(_failed(result)))
    parts += ["## Failed runs", "\n".join(failed)] if failed else []
    return "\n\n".join(parts) + "\n"


def _drawn(people: Mapping[str, Any]) -> str:
    """How made-up people were drawn: `itkm synth`'s parameters that a table of scores is read by."""
    said = {name: people.get(name) for name in ("people_train", "people_test", "images", "seed")}
    said["overlap"] = people.get("overlap", 1)
    words = ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
    return f"Synthetic people: {words}."


def as_rich(result: Result, title: str) -> Table:
    """The averages, for a terminal of 80 columns; the Markdown has the rest."""
    head, lines = main_cells(result)
    kept = [head.index(name) for name in ("", "mAP", "gain", "rank-1", "matches right", "runs")]
    table = Table(title=title, title_justify="left")
    for index in kept:
        name = head[index].removesuffix(" right")
        table.add_column(name, justify="right" if index else "left", no_wrap=index > 0)
    for line in lines:
        table.add_row(*[line[index] for index in kept])
    return table


def number(found: Result, *, sign: bool = False) -> str:
    """`34.5 ± 1.2`, without the deviation if there is one seed; `-` for nothing."""
    if found["deviation"] is None:
        return percent(found["mean"], sign=sign)
    return f"{percent(found['mean'], sign=sign)} ± {percent(found['deviation'])}"


def _count(runs: Sequence[dict[str, Any]]) -> str:
    done = sum(run["status"] == "done" for run in runs)
    failed = sum(run["status"] == "failed" for run in runs)
    return f"{done}/{len(runs)}" + (f", {failed} failed" if failed else "")


def _failed(result: Result) -> list[str]:
    return [
        f"- {run['name']}, seed {run['seed']}: {' '.join(run['error'].split())}"
        for row in result["rows"]
        for run in row["runs"]
        if run["status"] == "failed"
    ]


def _markdown(cells: Cells) -> str:
    head, lines = cells
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in (head, rule, *lines)
    )
