"""What `itkm export` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from itkm_core.storage.place import Place
from pipelines.console import Console


def print_export(console: Console, record: Mapping[str, Any], out: Place) -> None:
    """A line for each file, and what the numbers in them mean. record: as export.json."""
    table = Table(title="pseudo-identities of tracklets", title_justify="left")
    table.add_column("file", overflow="fold")
    for name in ("scenario/group", "camera", "boxes", "tracklets", "ids", "alone"):
        table.add_column(name, justify="right", no_wrap=True)
    counts = ("boxes", "tracklets", "pseudo_identities", "alone")
    for row in record["files"]:
        where = f"{row['scenario']}/{row['group']}"
        table.add_row(
            row["file"], where, str(row["camera"]), *(f"{row[name]:,}" for name in counts)
        )
    console.print(table)
    num, joined = record["pseudo_identities"], record["joined"]
    alone, apart = (sum(row[name] for row in record["files"]) for name in ("alone", "apart"))
    matched = f", {joined:,} of them joined from two groups" if joined else ""
    console.print(f"ids 1 to {num}: pseudo-identities{matched}")
    if alone:
        console.print(f"ids from {num + 1} on: {alone:,} tracklets in none, each on its own")
    if apart:
        console.print(
            f"warning: {apart:,} of these have the label of a surer tracklet that is in a frame with them: they are of "
            "other people"
        )
    console.print(f"{'files':<22} {out}")
