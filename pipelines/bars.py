"""Progress of work that counts pictures: a bar per stage on a terminal, a line per stage elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

Report = Callable[[str, int, int], None]

_STAGES = {
    "draw": "drawing",
    "list": "listing",
    "inspect": "inspecting",
    "write": "writing shards",
}


@contextmanager
def stage_bars(console: Console) -> Iterator[Report]:
    """Yields report(stage, done, total); total 0 while it is not known, stage "reused" for no work."""
    columns = (
        TextColumn("  {task.description:<15}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage == "reused":
                console.print("  it is there already and is the same: reused")
                return
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES[stage], total=total or None)
                if not console.is_terminal:
                    console.print(f"  {_STAGES[stage]} ...", highlight=False)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report
