"""What `itkm ingest` prints at the end: the contents of a corpus."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from itkm_core.corpus.schema import Corpus


def summary_table(corpus: Corpus) -> Table:
    """The contents of a corpus, and how many pictures were set aside."""
    table = Table(title=f"{corpus.num_images:,} images", title_justify="left")
    for name in ("scenario", "group", "split", "images", "cameras", "heights, px"):
        table.add_column(name, justify="left" if name in ("scenario", "split") else "right")
    for row in summary_rows(corpus):
        low, high = row["min_height"], row["max_height"]
        table.add_row(
            row["scenario"],
            str(row["group"]),
            row["split"],
            f"{row['num_images']:,}",
            str(row["num_cameras"]),
            str(low) if low == high else f"{low}-{high}",
        )
    rejected = corpus.rejected().num_rows
    if rejected:
        table.caption = f"{rejected:,} pictures set aside, see rejected.parquet"
    return table


def summary_rows(corpus: Corpus) -> list[dict[str, Any]]:
    """The contents of a corpus, one row per (scenario, group, split), sorted.

    Keys: scenario, group, split, num_images, num_cameras, min_height, max_height (pixels).
    """
    index = corpus.index(["scenario", "group", "split", "camera", "height"])
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
    return rows.rename_columns([*keys, *names.values()]).to_pylist()
