"""What `itkm doctor` prints: a line for each check, and the totals."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.console import Console, headed
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
        text = without_secrets(f"{line.check:<10} {line.seen}{advice}")
        console.print(headed(f"{line.verdict:<4}", colour, text))
    console.print(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    return count["fail"] > 0
