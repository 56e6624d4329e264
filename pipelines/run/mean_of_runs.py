"""The scores of several runs as one table: their means, such as over the ten trials of RegDB."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from itkm_core.errors import ConfigError

Row = Mapping[str, Any]

_KEYS = ("scenario", "query_group", "gallery_group", "name")
_COUNTS = ("num_queries", "num_skipped")


def mean_of_runs(runs: Sequence[str], rows: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """Each row of `retrieval` with its scores' means over the runs; `std` is their sample deviation over the runs.

    rows: those of each run. `num_runs`: how many. Counts of queries are means, rounded.

    Raises:
        ConfigError: a run has other scenarios, directions or settings than the first.
    """
    by_key = [{tuple(row.get(key) for key in _KEYS): row for row in one} for one in rows]
    for run, found in zip(runs, by_key, strict=True):
        differing = found.keys() ^ by_key[0].keys()
        if differing:
            scenario, query, gallery, name = next(iter(differing))
            words = f"{scenario} {query}->{gallery}" + (f" {name}" if name else "")
            raise ConfigError(
                f"only one of {runs[0]} and {run} has the row {words}; expected runs on the same scenarios, tested "
                "in the same way: give one kind at a time"
            )
    return [_mean([found[key] for found in by_key]) for key in by_key[0]]


def _mean(rows: Sequence[Row]) -> dict[str, Any]:
    first = rows[0]
    mean = {key: first[key] for key in _KEYS if key in first} | {"num_runs": len(rows)}
    std: dict[str, float | None] = {}
    for key in (key for key in first if key not in (*_KEYS, "num_draws", "std")):
        values = [row[key] for row in rows]
        if key in _COUNTS:
            mean[key] = round(statistics.fmean(values))
        else:
            known = None not in values
            mean[key] = statistics.fmean(values) if known else None
            std[key] = statistics.stdev(values) if known and len(values) > 1 else None
    return {**mean, "std": std}
