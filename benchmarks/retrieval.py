"""Evaluation of retrieval at the sizes of public collections, and re-ranking: seconds and memory.

    python benchmarks/retrieval.py [--json FILE] [--only market1501 msmt17 reranked]

Features are made up: 512-d, a falling spectrum, and one cluster a person, as many people and cameras as the collection
has. Each row runs in its own process, which first does the same with a hundred images to load libraries and compile
kernels; peak memory is that of the process tree, with Python, its libraries and the features. `processor`: seconds of
all cores, which other work on them changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_corpus import record, show
from process_tree import watch


class Size(NamedTuple):
    """Of a collection's test split; `limits`: seconds and GiB it may take."""

    queries: int
    gallery: int
    people: int
    cameras: int
    limits: tuple[float, float]


SIZES = {
    "market1501": Size(3_368, 19_732, 751, 6, (3, 2)),
    "msmt17": Size(11_659, 82_161, 3_060, 15, (60, 2)),
    "reranked": Size(3_368, 19_732, 751, 6, (30, 2)),
}


def made(size: Size, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Unit rows of the queries and the gallery, and the person and camera of each."""
    rng = np.random.default_rng(seed)
    spectrum = np.exp(-np.arange(512) / 80).astype(np.float32)
    centres = rng.standard_normal((size.people, 512), dtype=np.float32) * spectrum
    num = size.queries + size.gallery
    person, camera = rng.integers(0, size.people, num), rng.integers(0, size.cameras, num)
    rows = np.empty((num, 512), np.float32)
    for start in range(0, num, 8192):
        part = slice(start, min(start + 8192, num))
        drawn = rng.standard_normal((part.stop - start, 512), dtype=np.float32)
        rows[part] = centres[person[part]] + 1.5 * spectrum * drawn
        rows[part] /= np.linalg.norm(rows[part], axis=1, keepdims=True)
    cut = size.queries
    return rows[:cut], rows[cut:], person[:cut] + 1, person[cut:] + 1, camera[:cut], camera[cut:]


def worker(name: str) -> None:
    """In the row's own process: prints what it measured."""
    from itkm_core.evaluation import retrieve

    def turn(*columns: np.ndarray) -> dict[str, Any]:
        before = retrieve(*columns) if name == "reranked" else None
        started, busy = time.perf_counter(), time.process_time()
        after = retrieve(*columns) if before is None else before.rerank()
        times = time.perf_counter() - started, time.process_time() - busy
        return {"seconds": times[0], "processor": times[1], **after.ranking.summary()}

    turn(*made(SIZES[name]._replace(queries=100, gallery=100, people=20)))
    print(json.dumps(turn(*made(SIZES[name]))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--worker", choices=SIZES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        worker(asked.worker)
        return
    rows: list[dict[str, Any]] = []
    for name in asked.only:
        size = SIZES[name]
        found = watch([sys.executable, __file__, "--worker", name], os.environ)
        seconds, memory = size.limits
        row = {
            "what": name,
            "queries": size.queries,
            "gallery": size.gallery,
            "seconds": found.facts["seconds"],
            "processor": found.facts["processor"],
            "limit": float(seconds),
            "peak GiB": found.peak / 2**30,
            "limit GiB": float(memory),
            "rank 1": found.facts["rank_1"],
            "mAP": found.facts["mean_ap"],
        }
        rows.append(row)
        show(name, [row])
    record(asked.json, {"rows": rows})
    over = [
        row["what"]
        for row in rows
        if row["seconds"] > row["limit"] or row["peak GiB"] > row["limit GiB"]
    ]
    if over:
        raise SystemExit(f"over the limits: {', '.join(over)}")


if __name__ == "__main__":
    main()
