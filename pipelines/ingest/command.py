"""`itkm ingest`: options of the command line -> a request, live progress, and the table at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ConfigError
from pipelines.ingest.config import IngestConfig, ingest_config, load_ingest_config
from pipelines.ingest.make import summary_rows


def request(
    config: Path | None,
    kind: str | None,
    path: str | None,
    *,
    group_by: dict[str, Any],
    limits: dict[str, Any],
    **source: Any,
) -> IngestConfig:
    """The request of either a YAML file or the options of one source; values left None are defaults.

    Raises:
        ConfigError: both ways at once, neither, or a value that does not serve.
    """
    given = {name: value for name, value in source.items() if value is not None}
    grouping = {name: value for name, value in group_by.items() if value is not None}
    bounds = {name: value for name, value in limits.items() if value is not None}
    if config is not None:
        if kind or path or given or grouping or bounds:
            raise ConfigError("--config says everything: leave out PATH and the source's options")
        return load_ingest_config(config)
    if kind is None or path is None:
        raise ConfigError(
            "nothing to ingest: expected --as folder|market1501|synthetic PATH, or --config FILE"
        )
    one = {"kind": kind, "path": path, **given}
    if grouping:
        one["group_by"] = grouping
    return ingest_config(sources=[one], **bounds)


def summary_table(corpus: Corpus) -> Table:
    """What the corpus holds, and how much was set aside."""
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
