"""Labelling from 12,936 to a million images: seconds per step, memory, and accuracy of the labels.

    python benchmarks/labelling_scale.py [--json FILE] [--sizes 12936 100000] [--exact-to 300000] [--threads 2]

`people`: 128-d features, 16 images per person, with a falling spectrum like an encoder's; `untrained`: synthetic
people through an untrained CLIP, which tells them apart badly (32,621 pictures; drawing them takes a few minutes).
Each row runs in its own process, which first labels 20,000 of the rows to load libraries and compile kernels.
`exact` is the torch backend, `ivf` the approximate one; recall is what ivf measures on its sample. ARI is against the
people, and for ivf also against the exact labels. Peak memory is that of the process tree, including Python, its
libraries and the features; `estimate` is what `estimate_memory` predicts for all that.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from process_tree import watch
from rich.console import Console
from rich.table import Table

SIZES = (12_936, 32_621, 100_000, 300_000, 1_000_000)
UNTRAINED = 32_621
STEPS = ("search", "encoding", "graph", "dbscan")
PARAMETERS = {"k1": 30, "k2": 6, "eps": 0.6, "min_samples": 4}


def people(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows float32 [num, 128] and the person of each, generated in parts.

    More people are harder to tell apart, so the noise decreases with their number, and the ARI stays at 0.85 to 0.99.
    """
    noise = 0.52 * (12_936 / num) ** 0.068
    rng = np.random.default_rng(0)
    spectrum = np.exp(-np.arange(128) / 20).astype(np.float32)
    centres = rng.standard_normal((num // 16, 128), dtype=np.float32) * spectrum
    person = rng.integers(0, len(centres), num)
    rows = np.empty((num, 128), np.float32)
    for start in range(0, num, 100_000):
        part = slice(start, min(start + 100_000, num))
        drawn = rng.standard_normal((part.stop - start, 128), dtype=np.float32)
        rows[part] = centres[person[part]] + noise * spectrum * drawn
        rows[part] /= np.linalg.norm(rows[part], axis=1, keepdims=True)
    return rows, person


def untrained(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of synthetic people from a CLIP with its initial random weights, 16 pictures per person."""
    import torch

    from itkm_core.model.tiny import build_tiny_clip
    from itkm_core.model.tiny_zero_shot import encode, pictures
    from itkm_core.synthetic.config import SyntheticConfig
    from itkm_core.synthetic.sample import iter_samples

    config = SyntheticConfig(people_train=-(-num // 48), people_test=0, images=8, seed=7)
    samples = list(iter_samples(config))[:num]
    torch.manual_seed(0)
    rows = encode(build_tiny_clip(), pictures(samples))
    names = [f"{sample.scenario}/{sample.person}" for sample in samples]
    return rows, np.unique(names, return_inverse=True)[1]


def worker(folder: Path, backend: str) -> None:
    """In the row's own process: time each step, and write the labels to a file."""
    from itkm_core.clustering.confidence import confidence
    from itkm_core.clustering.dbscan import dbscan
    from itkm_core.clustering.encoding import encode
    from itkm_core.clustering.footprint import estimate_memory
    from itkm_core.clustering.jaccard import graph_of
    from itkm_core.neighbors.kernels import thread_count
    from itkm_core.neighbors.nearest import nearest
    from itkm_core.neighbors.workers import Threads

    rows = np.load(folder / "rows.npy")
    k1, k2, eps = PARAMETERS["k1"], PARAMETERS["k2"], PARAMETERS["eps"]
    threads = Threads(thread_count())
    moments: list[tuple[float, float]] = []

    def mark() -> None:
        moments.append((time.perf_counter(), time.process_time()))

    def label(rows: np.ndarray) -> Any:
        moments.clear()
        mark()
        near = nearest(rows, k1, backend=backend)
        mark()
        encoding = encode(rows, near.indices, k2, threads)
        mark()
        graph = graph_of(encoding, eps, threads)
        mark()
        found = dbscan(graph, eps=eps, min_samples=PARAMETERS["min_samples"])
        confidence(graph, found, eps=eps)
        mark()
        return near, encoding, graph, found

    label(rows[:20_000])
    print(json.dumps({"loaded": True}), flush=True)
    near, encoding, graph, found = label(rows)
    np.save(folder / f"{backend}.npy", found.labels)
    spent = [
        {"seconds": b[0] - a[0], "processor_seconds": b[1] - a[1]} for a, b in pairwise(moments)
    ]
    facts = {
        "steps": dict(zip(STEPS, spent, strict=True)),
        "recall": near.recall,
        "entries": len(encoding.columns.indices) / len(rows),
        "pairs": len(graph.pairs.indices) / len(rows),
        "clusters": int(found.labels.max()) + 1,
        "outlier_share": float(np.mean(found.labels < 0)),
        "estimate_bytes": estimate_memory(*rows.shape, k1=k1, k2=k2, backend=backend),
    }
    print(json.dumps(facts))


def measure(kind: str, size: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The table rows for one set of features."""
    from sklearn.metrics import adjusted_rand_score

    measured, exact = [], None
    with tempfile.TemporaryDirectory(prefix="itkm-bench-") as name:
        folder = Path(name)
        rows, person = people(size) if kind == "people" else untrained(size)
        np.save(folder / "rows.npy", rows)
        del rows
        for backend in ("torch", "ivf"):
            if backend == "torch" and size > asked.exact_to:
                continue
            command = [sys.executable, __file__, "--worker", backend, "--folder", name]
            watched = watch(command, {"OMP_NUM_THREADS": str(asked.threads)}, 0.02)
            labels = np.load(folder / f"{backend}.npy")
            exact = labels if backend == "torch" else exact
            facts = {"kind": kind, "images": size, "backend": backend, **watched.facts}
            facts["peak_bytes"] = watched.peak
            facts["ari"] = float(adjusted_rand_score(person, labels))
            if backend == "ivf" and exact is not None:
                facts["ari_against_exact"] = float(adjusted_rand_score(exact, labels))
            measured.append(facts)
            print(f"{kind} {size:,} {backend}: done", file=sys.stderr, flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument(
        "--exact-to",
        type=int,
        default=300_000,
        help="largest size for exact search, which is quadratic",
    )
    parser.add_argument(
        "--untrained", type=int, default=UNTRAINED, help="pictures of `untrained`; 0: none"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        worker(asked.folder, asked.worker)
        return
    sets = [("people", size) for size in asked.sizes]
    sets += [("untrained", asked.untrained)] if asked.untrained else []
    measured = [row for kind, size in sets for row in measure(kind, size, asked)]
    report(measured, asked)


def report(measured: list[dict[str, Any]], asked: argparse.Namespace) -> None:
    headings = ["features", "images", "search", "recall", *STEPS[1:], "total s", "peak GB"]
    headings += ["estimate", "ARI", "of exact", "clusters", "entries", "pairs"]
    table = Table(title=f"{asked.threads} threads, wall-clock seconds", title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "features" else "right")
    for row in measured:
        seconds = [row["steps"][step]["seconds"] for step in STEPS]
        against = row.get("ari_against_exact")
        table.add_row(
            f"{row['kind']} {row['backend']}",
            f"{row['images']:,}",
            f"{seconds[0]:.1f}",
            f"{row['recall']:.4f}",
            *(f"{each:.1f}" for each in seconds[1:]),
            f"{sum(seconds):.1f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            f"{row['estimate_bytes'] / 1e9:.2f}",
            f"{row['ari']:.3f}",
            "" if against is None else f"{against:.4f}",
            f"{row['clusters']:,}",
            f"{row['entries']:.0f}",
            f"{row['pairs']:.0f}",
        )
    console = Console(width=160)
    console.print(table)
    growth = growth_of_the_rest(measured)
    if growth is not None:
        console.print(
            f"the steps after the search grow as N^{growth:.2f} (CPU seconds, ivf, people)"
        )
    if asked.json:
        about = {"cpus": os.cpu_count(), "python": platform.python_version()}
        result = {"about": about, "threads": asked.threads, **PARAMETERS}
        result |= {"rows": measured, "growth_of_the_rest": growth}
        asked.json.write_text(json.dumps(result, indent=1) + "\n")


def growth_of_the_rest(measured: list[dict[str, Any]]) -> float | None:
    """The exponent between the smallest `people` set of at least 100,000 images and the largest."""
    rows = [r for r in measured if r["kind"] == "people" and r["backend"] == "ivf"]
    rows = [r for r in rows if r["images"] >= 100_000]
    if len(rows) < 2:
        return None
    rest = [sum(r["steps"][s]["processor_seconds"] for s in STEPS[1:]) for r in rows]
    return math.log(rest[-1] / rest[0]) / math.log(rows[-1]["images"] / rows[0]["images"])


if __name__ == "__main__":
    main()
