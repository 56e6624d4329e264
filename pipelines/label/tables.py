"""The tables that `itkm label` prints: of the labels of all blocks, and of each block's sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from itkm_core.clustering.guards import Condition
from pipelines.console import Console
from pipelines.run.tables import percent


def labels_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each block; the rows are `facts` of `group.GroupLabels`."""
    errors = _with_errors(rows)
    chosen = ("k1",) if any(row.get("k1_reason") for row in rows) else ()
    names = ("images", "clusters", "outliers %", "largest %", *errors.values(), *chosen, "eps")
    table = _numbers("pseudo-labels", "scenario/group", names)
    for row in rows:
        table.add_row(
            row["where"],
            f"{row['images']:,}",
            f"{row['clusters']:,}",
            percent(row["outlier_share"]),
            percent(row["largest_share"]),
            *(percent(row.get(name)) for name in errors),
            *(
                [f"{row['k1']} (auto)" if row.get("k1_reason") else str(row.get("k1", ""))]
                if chosen
                else []
            ),
            f"{row['eps']:g}" + (" (auto)" if row["eps_reason"] else ""),
        )
    return table


def arrivals_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """As `labels_table`, for blocks labelled against an index."""
    names = ("known", "new", "joined", "new clusters", "outliers %")
    table = _numbers("pseudo-labels of new images", "scenario/group", names)
    for row in rows:
        counts = ("known", "images", "joined", "new_clusters")
        shown = [f"{row[name]:,}" for name in counts]
        table.add_row(row["where"], *shown, percent(row["outlier_share"]))
    return table


def print_sweep(console: Console, record: Mapping[str, Any], where: str) -> None:
    """The table of a sweep (see `auto_eps.swept`), and which value is chosen and why, or why none is."""
    choice = record["choice"]
    # Errors are chosen by; beside them the rest would be wider than a terminal.
    errors = _with_errors(record["points"])
    names = ("eps", "clusters", "outliers %", "largest %", *(errors.values() or _SHAPE.values()))
    table = _numbers(f"sweep, {where}", None, names)
    table.add_column("")
    for point in record["points"]:
        table.add_row(
            f"{point['eps']:g}",
            f"{point['num_clusters']:,}",
            percent(point["outlier_share"]),
            percent(point["largest_share"]),
            *(percent(point[name]) for name in errors),
            *(_number(point[name]) for name in _SHAPE if not errors),
            _mark(point, choice),
        )
    console.print(table)
    said = record["failure"] if choice is None else f"eps {choice['eps']:g}: {choice['reason']}"
    console.print(said)


_ERRORS = {"merge_errors": "merge %", "split_errors": "split %"}
_SHAPE = {"silhouette": "silhouette", "agreement": "AMI next"}


def _with_errors(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """The columns of what tracklets say, if any row has it."""
    return _ERRORS if any(row.get(name) is not None for row in rows for name in _ERRORS) else {}


def print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(f"warning: {note}")


def _numbers(title: str, first: str | None, names: Sequence[str]) -> Table:
    """A table with a column of words, if it has a name, and columns of numbers."""
    table = Table(title=title, title_justify="left")
    if first is not None:
        table.add_column(first)
    for name in names:
        table.add_column(name, justify="right")
    return table


def _mark(point: Mapping[str, Any], choice: Mapping[str, Any] | None) -> str:
    if point["condition"] != Condition.OK:
        return "one giant" if point["condition"] == Condition.ONE_GIANT_CLUSTER else "all noise"
    if choice is None or point["eps"] not in choice["plateau"]:
        return ""
    return "chosen" if point["eps"] == choice["eps"] else "plateau"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
