"""Labels of a million frames in 20,000 tracklets: seconds of each part, and the peak memory of the process.

    python benchmarks/links_scale.py [--json FILE] [--frames 1000000] [--tracklets 20000] [--apart 100000]

The features are made up: `--tracklets` / 10 people around random directions, each tracklet and frame off by noise.
Tracklets overlap in time within their cameras until about `--apart` pairs do. `labels` is `label_rows` as runs call it,
so it holds the errors by tracklets (one search among halves) and the labels (another among units).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from itkm_core.clustering.auto_eps import label_rows
from itkm_core.clustering.options import LabelOptions
from itkm_core.links import tracker_links, unit_vectors
from itkm_core.neighbors.workers import Threads


def made(
    frames: int, tracklets: int, apart: int, dimension: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features float32 [N, D], and camera, tracklet and frame int64 [N]."""
    rng = np.random.default_rng(seed)
    of_each = frames // tracklets
    person = rng.integers(0, max(tracklets // 10, 1), tracklets)
    directions = rng.normal(size=(person.max() + 1, dimension)).astype(np.float32)
    walks = directions[person] + 0.8 * rng.normal(size=(tracklets, dimension)).astype(np.float32)
    rows = np.empty((tracklets * of_each, dimension), np.float32)
    for at in range(tracklets):  # one at a time: the noise of all would be as large as the rows
        mine = walks[at] + rng.standard_normal((of_each, dimension), np.float32)
        mine /= np.linalg.norm(mine, axis=1, keepdims=True)
        rows[at * of_each : (at + 1) * of_each] = mine
    camera = np.arange(tracklets) % 8
    # Each overlaps with the next ones of its camera: so many that the pairs are about `apart`.
    step = max(1, round(of_each / (apart / tracklets + 0.5)))
    start = (np.arange(tracklets) // 8) * step
    numbers = np.arange(tracklets)
    each = (np.repeat(values, of_each) for values in (camera, numbers, start))
    cameras, of, starts = each
    return rows, cameras, of, starts + np.tile(np.arange(of_each), tracklets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--tracklets", type=int, default=20_000)
    parser.add_argument("--apart", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    options, by = LabelOptions(k1=20, k2=4, eps=0.6), Threads(asked.threads)
    # Libraries and kernels first.
    small = made(400, 40, 80, asked.dimension)
    label_rows(
        small[0], np.arange(400), options, where="x", workers=by, links=tracker_links(*small[1:])
    )
    rows, *known = made(asked.frames, asked.tracklets, asked.apart, asked.dimension)
    made_up = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {}

    started = time.perf_counter()
    links = tracker_links(*known)
    seconds["links"] = time.perf_counter() - started
    started = time.perf_counter()
    unit_vectors(rows, links.unit_of)
    seconds["mean vectors"] = time.perf_counter() - started
    started = time.perf_counter()
    found = label_rows(rows, np.arange(len(rows)), options, where="x", workers=by, links=links)
    seconds["labels"] = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "frames": len(rows),
        "units": links.num_units,
        "apart": len(links.apart),
        "clusters": found.found.num_clusters,
        "merge_errors": found.parameters["merge_errors"],
        "split_errors": found.parameters["split_errors"],
        "seconds": seconds,
        "total_seconds": seconds["links"] + seconds["labels"],
        "features_mib": rows.nbytes / 2**20,
        "before_mib": made_up / 1024,
        "peak_mib": peak / 1024,
    }
    Console().print_json(json.dumps(result))
    if asked.json:
        asked.json.write_text(json.dumps({"asked": {**vars(asked), "json": None}, **result}) + "\n")


if __name__ == "__main__":
    main()
