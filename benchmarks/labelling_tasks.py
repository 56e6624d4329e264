"""One large group labelled by one Ray worker with one CPU, and by two.

    python benchmarks/labelling_tasks.py [--json FILE] [--num 300000] [--repeats 3]

The features are those of benchmarks/labelling_scale.py. One and two workers take turns, each with its own Ray, after
labelling 40,000 rows to start the workers and load their libraries; `ratio` is the median over the turns. The labels
of all turns are compared one by one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # the process that divides the work has one thread too

import numpy as np
from bench_corpus import own_ray, record, show
from labelling_scale import people

PARAMETERS = {"k1": 30, "k2": 6, "eps": 0.6, "min_samples": 4, "backend": "ivf"}


def labelled(rows: np.ndarray, workers: int) -> tuple[float, np.ndarray]:
    """Seconds, and the labels."""
    from itkm_core.clustering import pseudo_label
    from pipelines.steps.label_spans import MIN_ROWS, RayTasks

    with own_ray(workers, object_store_memory=len(rows) * 8000):
        tasks = RayTasks("label[bench/0]", rows=MIN_ROWS)
        pseudo_label(rows[:40_000], workers=tasks, **PARAMETERS)
        started = time.perf_counter()
        labels = pseudo_label(rows, workers=tasks, **PARAMETERS).labels
        return time.perf_counter() - started, labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    rows, _ = people(asked.num)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    expected = None
    for _ in range(asked.repeats):
        for workers, spent in seconds.items():
            took, labels = labelled(rows, workers)
            spent.append(took)
            expected = labels if expected is None else expected
            if not np.array_equal(labels, expected):
                raise SystemExit(f"{workers} workers gave other labels")
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    rows_shown = [
        {"what": f"{workers} workers", "seconds": statistics.median(spent)}
        for workers, spent in seconds.items()
    ]
    show(
        f"{asked.num:,} images, {len(ratios)} turns, ratio {statistics.median(ratios):.2f}",
        rows_shown,
    )
    record(asked.json, {"num": asked.num, "seconds": seconds, "ratios": ratios})


if __name__ == "__main__":
    main()
