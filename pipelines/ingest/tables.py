"""What `itkm ingest` prints at the end: the contents of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import pyarrow.compute as pc
from rich.table import Table

from itkm_core.collections.finding import in_words
from itkm_core.collections.known import COLLECTIONS
from itkm_core.corpus.schema import UNKNOWN, Corpus
from itkm_core.corpus.writer import count_values
from pipelines.console import Console
from pipelines.ingest.early_issues import issue_notes
from pipelines.ingest.published import differs

CAMERAS_SHOWN = 20


def print_summary(console: Console, corpus: Corpus) -> None:
    """Print what is in a corpus, and what a user should know of how it was read."""
    console.print(summary_table(corpus))
    for collection in corpus.collections().values():
        console.print(published_table(collection))
    for line in chain(summary_notes(corpus), issue_notes(corpus)):
        console.print(line)


def summary_notes(corpus: Corpus) -> Iterator[str]:
    """A line each for the pictures set aside, the files left out, the names of cameras, and dark 16-bit grey."""
    rejected = corpus.rejected()
    if rejected.num_rows:
        counts = count_values(rejected["reason"])
        first = rejected.slice(0, 1).to_pylist()[0]
        why = ", ".join(f"{num:,} {reason}" for reason, num in counts.items())
        detail = f" ({first['detail']})" if first["detail"] else ""
        yield f"set aside: {why}, such as {first['uri']!r}{detail}"
    by_source: dict[str, dict[str, tuple[int, str]]] = {}
    for each in corpus.record.get("left_out", []):
        by_source.setdefault(each["source"], {})[each["kind"]] = (each["num"], each["example"])
    for source, left_out in by_source.items():
        yield f"left out of {source}: {in_words(left_out)}"
    for scenario, each in corpus.collections().items():
        parts = [count["part"] for count in each["counts"] if differs(count)]
        if parts:
            title = COLLECTIONS[each["collection"]].title
            yield (
                f"warning: {scenario} is not {title} as published ({', '.join(parts)}): its scores do not compare "
                "with published ones"
            )
    for each in corpus.record.get("derived", []):
        scenario, group = each["scenario"], each["group"]
        yield (
            f"{scenario}/{group} shows the training pictures of {scenario}/{1 - group} in other clothes, drawn anew in "
            "every round"
        )
    for scenario, names in corpus.record.get("camera_names", {}).items():
        shown = [f"{number} = {name}" for number, name in list(names.items())[:CAMERAS_SHOWN]]
        more = len(names) - len(shown)
        rest = f" and {more:,} more, see corpus.json" if more else ""
        yield f"cameras of {scenario}, numbered by name: {', '.join(shown)}{rest}"
    for each in corpus.record.get("sixteen_bit", []):
        if each["depth"] == 16 and each["high"] < 2**15:
            yield (
                f"warning: {each['num']:,} pictures of {each['source']} are 16-bit grey with values from "
                f"{each['low']:,} to {each['high']:,} of 65,535, and become 8-bit grey from {each['low'] >> 8} to "
                f"{each['high'] >> 8} of 255; in a --config file, depth: {max(8, each['high'].bit_length())} (or "
                "auto) of the source uses the whole range"
            )


def summary_table(corpus: Corpus) -> Table:
    """The contents of a corpus, and how many pictures were set aside."""
    table = Table(title=f"{corpus.num_images:,} images", title_justify="left")
    tracks = ("tracklets",) if corpus.has_tracklets else ()
    for name in ("scenario", "group", "split", "images", "cameras", *tracks, "heights, px"):
        table.add_column(name, justify="left" if name in ("scenario", "split") else "right")
    for row in summary_rows(corpus):
        low, high = row["min_height"], row["max_height"]
        table.add_row(
            row["scenario"],
            str(row["group"]),
            row["split"],
            f"{row['num_images']:,}",
            str(row["num_cameras"]),
            *([f"{row['num_tracklets']:,}"] if tracks else []),
            str(low) if low == high else f"{low}-{high}",
        )
    rejected = corpus.rejected().num_rows
    if rejected:
        table.caption = f"{rejected:,} pictures set aside, see rejected.parquet"
    return table


def published_table(collection: Mapping[str, Any]) -> Table:
    """What a scenario has of its public collection, beside what was published (an entry of `Corpus.collections`)."""
    variant = f", {collection['variant']}" if collection["variant"] else ""
    table = Table(
        title=f"{collection['scenario']}: found, and as published{variant}", title_justify="left"
    )
    table.add_column("part")
    for name in ("images", "published", "people", "published"):
        table.add_column(name, justify="right")
    table.add_column("")
    for count in collection["counts"]:
        numbers = (
            count["images"],
            count["published_images"],
            count["persons"],
            count["published_persons"],
        )
        cells = ["" if number is None else f"{number:,}" for number in numbers]
        table.add_row(count["part"], *cells, "differs" if differs(count) else "")
    return table


def summary_rows(corpus: Corpus) -> list[dict[str, Any]]:
    """The contents of a corpus, one row per (scenario, group, split), sorted.

    Keys: scenario, group, split, num_images, num_cameras, min_height, max_height (pixels), num_tracklets.
    """
    index = corpus.index(["scenario", "group", "split", "camera", "tracklet", "height"])
    keys = ["scenario", "group", "split"]
    rows = index.group_by(keys).aggregate(
        [
            ("height", "count"),
            ("camera", "count_distinct"),
            ("height", "min"),
            ("height", "max"),
        ]
    )
    names = {
        "height_count": "num_images",
        "camera_count_distinct": "num_cameras",
        "height_min": "min_height",
        "height_max": "max_height",
    }
    rows = rows.sort_by([(key, "ascending") for key in keys]).select([*keys, *names])
    found = rows.rename_columns([*keys, *names.values()]).to_pylist()
    tracked = index.filter(pc.field("tracklet") != UNKNOWN)
    tracklets = tracked.group_by([*keys, "camera", "tracklet"]).aggregate([])
    of_each = Counter(tuple(row[key] for key in keys) for row in tracklets.to_pylist())
    return [{**row, "num_tracklets": of_each[tuple(row[key] for key in keys)]} for row in found]
