"""Matching the two groups of a scenario at scale: seconds and memory of cluster and instance matching.

    python benchmarks/matching_scale.py [--json FILE] [--images 50000 300000] [--threads 2]

Two groups of the people of benchmarks/labelling_scale.py, 8 images per person in each, with the second group's images
shifted by one fixed vector, as by another kind of camera; one cluster per person, whose text is its centre plus noise.
Above 5,000 clusters per side, pairs come from 50 candidates each; from 200,000 images, neighbours come from the
inverted file. `right` is the share of matched clusters, and of instance positives, that show one person. Each row runs
in its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from labelling_scale import people
from process_tree import watch
from rich.console import Console
from rich.table import Table


def two_groups(num: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """For each group: unit rows [N, 128], the person of each, and a unit text [N, 128] for each image's cluster."""
    rows, person = people(2 * num)
    rng = np.random.default_rng(1)
    rows[num:] += 0.02 * rng.standard_normal(128, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    groups, people_of, texts = [], [], []
    for part in (slice(0, num), slice(num, 2 * num)):
        _, cluster = np.unique(person[part], return_inverse=True)
        centres = means(rows[part], cluster)
        text = centres + 0.03 * rng.standard_normal(centres.shape, dtype=np.float32)
        groups.append(rows[part])
        people_of.append(person[part])
        texts.append((text / np.linalg.norm(text, axis=1, keepdims=True))[cluster])
    return groups, people_of, texts


def means(rows: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """The normalised mean of each cluster's rows, float32 [K, D]."""
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(cluster.max() + 1))
    sums = np.add.reduceat(rows[order], starts, axis=0)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def worker(num: int) -> None:
    from itkm_core.matching import match_clusters, match_instances

    groups, person, texts = two_groups(num)
    few = [rows[:2000] for rows in groups], [text[:2000] for text in texts]
    match_instances(*few[0], *few[1], k=5)
    print(json.dumps({"loaded": True}), flush=True)
    kinds, centres, words = [], [], []
    for rows, who, text in zip(groups, person, texts, strict=True):
        found, first, cluster = np.unique(who, return_index=True, return_inverse=True)
        kinds.append(found)
        centres.append(means(rows, cluster))
        words.append(text[first])
    started = time.perf_counter(), time.process_time()
    clusters = match_clusters(*centres, *words)
    between = time.perf_counter(), time.process_time()
    instances = match_instances(*groups, *texts, k=20)
    ended = time.perf_counter(), time.process_time()
    a, b = clusters.pairs.T
    positives = instances.positives(0)
    owners = np.repeat(np.arange(num), np.diff(positives.indptr))
    facts = {
        "clusters": [len(each) for each in kinds],
        "method": clusters.method,
        "clusters_seconds": between[0] - started[0],
        "clusters_processor_seconds": between[1] - started[1],
        "clusters_right": float(np.mean(kinds[0][a] == kinds[1][b])),
        "instances_seconds": ended[0] - between[0],
        "instances_processor_seconds": ended[1] - between[1],
        "instances_right": float(np.mean(person[0][owners] == person[1][positives.indices])),
        "positives": len(owners) / num,
    }
    print(json.dumps(facts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", nargs="+", type=int, default=(50_000, 300_000), help="images per group"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        worker(asked.worker)
        return
    table = Table(title=f"{asked.threads} threads", title_justify="left")
    headings = [
        "images a group",
        "clusters",
        "method",
        "clusters s",
        "right",
        "instances s",
        "right",
    ]
    for heading in (*headings, "positives", "peak GB", "of it data"):
        table.add_column(heading, justify="right")
    rows: list[dict[str, Any]] = []
    for num in asked.images:
        command = [sys.executable, __file__, "--worker", str(num)]
        watched = watch(command, {"OMP_NUM_THREADS": str(asked.threads)}, 0.02)
        facts = {"images": num, **watched.facts, "peak_bytes": watched.peak}
        facts["before_bytes"] = watched.before
        rows.append(facts)
        table.add_row(
            f"{num:,}",
            " x ".join(f"{each:,}" for each in facts["clusters"]),
            facts["method"],
            f"{facts['clusters_seconds']:.1f}",
            f"{facts['clusters_right']:.3f}",
            f"{facts['instances_seconds']:.1f}",
            f"{facts['instances_right']:.3f}",
            f"{facts['positives']:.1f}",
            f"{facts['peak_bytes'] / 1e9:.2f}",
            f"{facts['before_bytes'] / 1e9:.2f}",
        )
    Console(width=140).print(table)
    if asked.json:
        asked.json.write_text(json.dumps({"threads": asked.threads, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
