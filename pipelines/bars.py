"""Progress of commands that count pictures: a bar per stage on a terminal, else a line per stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from pipelines.console import Console

Report = Callable[[str, int, int], None]

_STAGES = {
    "draw": "drawing",
    "list": "listing",
    "cut": "cutting crops",
    "inspect": "inspecting",
    "write": "writing shards",
    "look": "looking",
    "compare": "comparing",
}

REUSED = "  already there and unchanged: reused"


@contextmanager
def stage_bars(console: Console) -> Iterator[Report]:
    """Yields report(stage, done, total); total is 0 while unknown, stage "reused" means there is nothing to do."""
    columns = (
        TextColumn("  {task.description:<15}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # Also a bar that is not shown prints an empty line at its end, by an older rich.
    if not console.is_terminal:
        yield _lines(console)
        return
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage == "reused":
                console.print(REUSED)
                return
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES[stage], total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


def _lines(console: Console) -> Report:
    begun: set[str] = set()

    def report(stage: str, done: int, total: int) -> None:
        if stage not in begun:
            begun.add(stage)
            console.print(REUSED if stage == "reused" else f"  {_STAGES[stage]} ...")

    return report
