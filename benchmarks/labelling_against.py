"""New images labelled against known ones, compared with relabelling everything: agreement and cost.

    python benchmarks/labelling_against.py [--json FILE] [--old 20000] [--new 2000] [--repeats 3]

The features are the `people` of benchmarks/labelling_scale.py. New images show known people,
new people, or half and half; `in 10 parts` is the last with ten arrivals, one after another.
AMI (each outlier its own cluster) and ARI compare the new images' labels with those of relabelling everything;
`same` is the share of them in the corresponding cluster (the one that holds most of the images of their relabelled
cluster) or outliers in both. `people` is the ARI of all labels, old and new, against the people, `relabelled` that
after relabelling. `old` is the AMI of the old images' labels with their relabelled ones: what the arrivals leave
unchanged. `cost` is the CPU seconds of the arrivals divided by those of relabelling, the median of the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from labelling_scale import people
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score

from itkm_core.clustering import LabelOptions, agreement, pseudo_label
from itkm_core.clustering.arrivals.label import Known, label_arrivals
from itkm_core.neighbors.nearest import nearest

PARAMETERS = {"k1": 30, "k2": 6, "eps": 0.6, "min_samples": 4}
KINDS = {
    "known people": (0.0, 1),
    "half": (0.5, 1),
    "new people": (1.0, 1),
    "in 10 parts": (0.5, 10),
}


def arrange(person: np.ndarray, num_new: int, share: float) -> np.ndarray:
    """Rows in an order in which the last `num_new` arrive; `share` of these are all the images of some people."""
    rng = np.random.default_rng(1)
    by_person = rng.permutation(person.max() + 1)
    sizes = np.bincount(person, minlength=person.max() + 1)[by_person]
    unseen = np.isin(person, by_person[np.cumsum(sizes) <= share * num_new])
    others = rng.permutation(np.flatnonzero(~unseen))
    num_others = num_new - int(unseen.sum())
    later = np.concatenate([np.flatnonzero(unseen), others[:num_others]])
    return np.concatenate([np.sort(others[num_others:]), rng.permutation(later)])


def ari(labels: np.ndarray, other: np.ndarray) -> float:
    """ARI with each outlier as its own cluster."""
    return float(adjusted_rand_score(alone(labels), alone(other)))


def alone(labels: np.ndarray) -> np.ndarray:
    outliers = labels < 0
    return np.where(outliers, labels.max() + np.cumsum(outliers), labels)


def same_cluster(labels: np.ndarray, relabelled: np.ndarray, num_new: int) -> float:
    """Share of the last images whose label is the one that most images of their relabelled cluster have."""
    pairs, counts = np.unique(np.stack([relabelled, labels]), axis=1, return_counts=True)
    most: dict[int, int] = {-1: -1}
    for at in np.argsort(-counts, kind="stable"):
        if pairs[1, at] >= 0:
            most.setdefault(int(pairs[0, at]), int(pairs[1, at]))
    expected = np.array([most.get(label, -2) for label in relabelled[-num_new:].tolist()])
    return float(np.mean(expected == labels[-num_new:]))


def measure(
    rows: np.ndarray, person: np.ndarray, num_new: int, parts: int, repeats: int
) -> dict[str, Any]:
    num_old = len(rows) - num_new
    ids = np.arange(len(rows))
    old = pseudo_label(rows[:num_old], **PARAMETERS)
    lists = nearest(rows[:num_old], PARAMETERS["k1"]).indices
    first = Known(ids[:num_old], rows[:num_old], lists, old.labels, old.is_core)

    def against() -> tuple[Known, list[dict[str, Any]]]:
        known, facts = first, []
        for part in np.array_split(ids[num_old:], parts):
            found = label_arrivals(
                known, rows[part], sample_ids=part, options=LabelOptions(**PARAMETERS)
            )
            known = found.known
            facts.append(found.parameters)
        return known, facts

    seconds: dict[str, list[float]] = {"against": [], "relabelled": []}
    for turn in range(repeats + 1):
        for name in seconds:
            started = time.process_time()
            if name == "against":
                after, facts = against()
            else:
                relabelled = pseudo_label(rows, **PARAMETERS)
            if turn:  # the first turn loads libraries and compiles kernels
                seconds[name].append(time.process_time() - started)
    labels, new = after.labels, slice(num_old, None)
    return {
        "ami": agreement(labels[new], relabelled.labels[new]),
        "ari": ari(labels[new], relabelled.labels[new]),
        "same": same_cluster(labels, relabelled.labels, num_new),
        "people": ari(labels, person),
        "people_relabelled": ari(relabelled.labels, person),
        "old": agreement(old.labels, relabelled.labels[:num_old]),
        "joined": sum(each["num_joined"] for each in facts),
        "new_clusters": sum(each["new_clusters"] for each in facts),
        "new_clusters_relabelled": len(
            set(relabelled.labels[new].tolist()) - set(relabelled.labels[:num_old].tolist())
        ),
        "would_merge": len({tuple(pair) for each in facts for pair in each["would_merge"]}),
        "outliers_near": facts[-1]["outliers_near"],
        "seconds": seconds,
        "cost": statistics.median(
            a / b for a, b in zip(seconds["against"], seconds["relabelled"], strict=True)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=int, default=20_000)
    parser.add_argument("--new", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    drawn, person = people(asked.old + asked.new)
    table = Table(title=f"{asked.old:,} old, {asked.new:,} new", title_justify="left")
    table.add_column("new images", no_wrap=True)
    for name in ("AMI", "ARI", "same", "people", "relabelled", "old", "cost"):
        table.add_column(name, justify="right")
    rows = {}
    for kind, (share, parts) in KINDS.items():
        order = arrange(person, asked.new, share)
        found = measure(drawn[order], person[order], asked.new, parts, asked.repeats)
        rows[kind] = found
        names = ("ami", "ari", "same", "people", "people_relabelled", "old")
        table.add_row(kind, *(f"{found[name]:.3f}" for name in names), f"{found['cost']:.2f}")
    Console().print(table)
    if asked.json:
        record = {"asked": {**vars(asked), "json": None}, "rows": rows, "cpus": os.cpu_count()}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
