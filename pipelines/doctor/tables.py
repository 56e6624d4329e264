"""What `itkm doctor` prints: a line for each check, and the totals."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from pipelines.doctor.judge_cluster import Line
from pipelines.secrets import without_secrets

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def report(lines: Iterator[Line], console: Console) -> bool:
    """Print each line as it arrives, then the totals. Returns whether a check failed."""
    count = {verdict: 0 for verdict in _COLOURS}
    for line in lines:
        count[line.verdict] += 1
        advice = f": {line.advice}" if line.advice else ""
        colour = _COLOURS[line.verdict]
        text = escape(without_secrets(f"{line.check:<10} {line.seen}{advice}"))
        console.print(f"[{colour}]{line.verdict:<4}[/] {text}", highlight=False, soft_wrap=True)
    console.print(
        ", ".join(f"{number} {verdict}" for verdict, number in count.items()), highlight=False
    )
    return count["fail"] > 0
