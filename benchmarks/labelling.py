"""Pseudo-labels of N images: the sparse path against a tuned dense copy, seconds and peak memory.

    python benchmarks/labelling.py [--json FILE] [--num 12936] [--repeats 3]

Each variant runs in its own process. `seconds` is the median of `--repeats` calls of the labelling alone, after one
call on a few images that loads libraries and compiles kernels; `peak MB` is the largest sum of resident memory of
that process and its children, sampled every 5 ms, including Python and libraries, and `above` is the part of it
that came after that first call.
The labels of all variants are compared one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from process_tree import watch
from rich.console import Console
from rich.table import Table

PARAMETERS = {"k1": 30, "k2": 6, "eps": 0.6, "min_samples": 4}
VARIANTS = ("sparse faiss-flat", "sparse torch", "dense")


def made_features(num: int, dimension: int, images: int, noise: float) -> np.ndarray:
    """Unit rows, `images` around each of the random centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((-(-num // images), dimension))[np.arange(num) // images]
    rows = centres + noise * rng.standard_normal(centres.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def label(variant: str, rows: np.ndarray) -> np.ndarray:
    if variant == "dense":
        from labelling_dense import dense_pseudo_label

        return dense_pseudo_label(rows, **PARAMETERS)
    from itkm_core.clustering import pseudo_label

    return pseudo_label(rows, backend=variant.split()[1], **PARAMETERS).labels


def worker(variant: str, folder: Path, repeats: int) -> None:
    """In the variant's own process: label, time, write."""
    rows = np.load(folder / "rows.npy")
    started = time.perf_counter()
    label(variant, rows[:300])
    print(json.dumps({"first_call": time.perf_counter() - started}), flush=True)
    seconds, processor = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        labels = label(variant, rows)
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    np.save(folder / f"{variant}.npy", labels)
    print(json.dumps({"seconds": seconds, "processor_seconds": processor}), flush=True)


def measure(variant: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a variant in its process and watch the memory of that process tree."""
    command = [sys.executable, __file__, "--worker", variant, "--folder", str(folder)]
    command += ["--repeats", str(arguments.repeats)]
    watched = watch(command, {"OMP_NUM_THREADS": str(arguments.threads)})
    above = watched.peak - watched.before
    return {**watched.facts, "peak_mb": watched.peak / 1e6, "above_start_mb": above / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--num",
        type=int,
        default=12_936,
        help="number of images (default: Market-1501's training set)",
    )
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--images", type=int, default=20, help="images per person")
    parser.add_argument("--noise", type=float, default=1.7, help="standard deviation (centres: 1)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.folder, arguments.repeats)
        return
    facts, labels = {}, {}
    with tempfile.TemporaryDirectory(prefix="itkm-bench-") as name:
        folder = Path(name)
        rows = made_features(arguments.num, arguments.dimension, arguments.images, arguments.noise)
        np.save(folder / "rows.npy", rows)
        del rows
        for variant in arguments.variants:
            facts[variant] = measure(variant, folder, arguments)
            labels[variant] = np.load(folder / f"{variant}.npy")
    report(arguments, facts, labels)


def report(
    arguments: argparse.Namespace, facts: dict[str, dict[str, Any]], labels: dict[str, np.ndarray]
) -> None:
    from sklearn.metrics import adjusted_rand_score

    person = np.arange(arguments.num) // arguments.images
    first = labels[arguments.variants[0]]
    table = Table(title=f"{arguments.num:,} x {arguments.dimension}, {arguments.threads} threads")
    for heading in (
        "variant",
        "seconds",
        "CPU s",
        "first call s",
        "peak MB",
        "above",
        "same labels",
    ):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for variant, found in facts.items():
        found["labels_identical"] = bool((labels[variant] == first).all())
        seconds = statistics.median(found["seconds"])
        processor = statistics.median(found["processor_seconds"])
        numbers = [seconds, processor, found["first_call"]]
        cells = [f"{n:.2f}" for n in numbers]
        cells += [f"{found[k]:,.0f}" for k in ("peak_mb", "above_start_mb")]
        table.add_row(variant, *cells, "yes" if found["labels_identical"] else "NO")
    console = Console()
    console.print(table)
    quality = {
        "clusters": int(first.max()) + 1,
        "outlier_share": float(np.mean(first < 0)),
        "ari": float(adjusted_rand_score(person, first)),
    }
    console.print(", ".join(f"{k} {v:.4g}" for k, v in quality.items()))
    if arguments.json:
        about = {"cpus": os.cpu_count(), "python": platform.python_version()}
        asked = {k: getattr(arguments, k) for k in ("num", "dimension", "images", "noise")}
        asked |= {"threads": arguments.threads, **PARAMETERS}
        result = {"about": about, "asked": asked, "labels": quality, "variants": facts}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if not all(found["labels_identical"] for found in facts.values()):
        raise SystemExit("the variants' labels differ")


if __name__ == "__main__":
    main()
