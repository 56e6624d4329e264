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
}


@contextmanager
def stage_bars(console: Console) -> Iterator[Report]:
    """Yields report(stage, done, total); total is 0 while unknown, stage "reused" means there is nothing to do."""
    columns = (
        TextColumn("  {task.description:<15}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage == "reused":
                console.print("  already there and unchanged: reused")
                return
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES[stage], total=total or None)
                if not console.is_terminal:
                    console.print(f"  {_STAGES[stage]} ...")
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report
