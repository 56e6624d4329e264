"""What tracklets are worth: ARI over images with links and without, before training and after the same training steps.

    python benchmarks/links.py [--json FILE] [--seeds 3] [--rounds 2] [--tracker-noise 0] [overrides ...]

For each seed people are filmed (`itkm synth --video`) and two runs are made on one corpus: `off` without links, with
the method's k1 of 30 and eps chosen by the plateau, and `auto` with links, k1 and eps chosen by tracklets. `at end` are
their ARI after the same training steps. Before training, `frames` is the best of all swept values of k1 and eps by the
identities, which nobody has, `alone` that of the tracklets themselves, and `links` what `auto` begins with. `merge` and
`split` compare the errors that tracklets tell with those that identities tell, on the same labels over a sweep of eps:
Pearson's correlation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from bench_corpus import record, scratch, show
from sklearn.metrics import adjusted_rand_score

EPS = tuple(round(0.3 + 0.05 * step, 2) for step in range(14))
K1 = (8, 12, 20, 30, 60, 120)


def command(*words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words], check=True, stdout=subprocess.DEVNULL
    )


def score(labels: np.ndarray, person: np.ndarray) -> float:
    """ARI, every outlier a cluster of its own."""
    alone = np.flatnonzero(labels < 0)
    labels = labels.copy()
    labels[alone] = labels.max(initial=-1) + 1 + np.arange(len(alone))
    return float(adjusted_rand_score(person, labels))


def truth(labels: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """Share of pairs of two people in one cluster, and of pairs of one person that are not, over all pairs."""
    same = person[:, None] == person[None]
    together = (labels[:, None] == labels[None]) & (labels[:, None] >= 0)
    pairs = np.triu_indices(len(labels), 1)
    same, together = same[pairs], together[pairs]
    return float(together[~same].mean()), float((~together[same]).mean())


def of_block(run: Path, corpus: Any, block: Any) -> dict[str, Any]:
    """ARI before training without links at the best values and with links, and the correlations, of one block."""
    from itkm_core.clustering import LabelOptions, pseudo_label
    from itkm_core.clustering.auto_eps import label_rows
    from itkm_core.clustering.link_errors import errors_of, halves
    from itkm_core.clustering.linked_dbscan import linked_dbscan
    from itkm_core.clustering.linked_space import label_space
    from itkm_core.corpus.schema import train_ids
    from itkm_core.links import Links, unit_vectors
    from itkm_core.storage.place import Place
    from pipelines.artifacts.features import read_features
    from pipelines.steps.links import LinkPlan, block_links

    ids = train_ids(corpus, *block)
    features = read_features(Place.at(run / "round-001" / "extract" / "features"), ids, block)
    person = corpus.identities()["person"].to_numpy()[ids]
    links = block_links(corpus, LinkPlan(4), ids)
    plain = max(
        score(pseudo_label(features, k1=k1, k2=6, eps=eps).labels, person)
        for k1 in K1
        for eps in EPS[1::3]
    )
    asked = LabelOptions(
        k1=30, k2=6, k1_candidates=(4, 6, 8, 12, 20, 30), eps="auto", eps_candidates=EPS[2:9]
    )
    linked = label_rows(features, ids, asked, where=block.name, links=links)
    half_of, unit_of_half = halves(links.unit_of)
    vectors = unit_vectors(features, half_of)
    frames = np.bincount(half_of)
    of_half = person[np.unique(half_of, return_index=True)[1]]
    nothing = Links(np.arange(len(vectors)), np.zeros((0, 2), np.int64))
    k1, k2 = 2 * linked.parameters["k1"], 2 * linked.parameters["k2"]
    space = label_space(vectors, LabelOptions(k1=k1, k2=k2, eps=EPS[-1]), links=nothing)
    told, true = [], []
    for eps in EPS:
        labels = linked_dbscan(space.linked, frames, eps=eps, min_samples=4, alone=4).labels
        errors = errors_of(labels, unit_of_half, links.apart)
        told.append((errors.merge, errors.split))
        true.append(truth(labels, of_half))
    told_at, true_at = np.array(told).T, np.array(true).T
    return {
        "frames": plain,
        "alone": score(links.unit_of, person),
        "links": score(linked.found.labels, person),
        "merge": float(np.corrcoef(told_at[0], true_at[0])[0, 1]),
        "split": float(np.corrcoef(told_at[1], true_at[1])[0, 1]),
    }


def after(run: Path) -> dict[str, float]:
    """ARI of each block's labels at the end of a run, from its last evaluation."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["step"].endswith("evaluate")][-1]
    return {row["group"]: row["ari"] for row in last["labels"]}


def one_seed(base: Path, seed: int, asked: argparse.Namespace) -> list[dict[str, Any]]:
    from itkm_core.corpus.schema import Corpus
    from pipelines.artifacts.blocks import Block

    film, corpus = base / f"film-{seed}", base / f"corpus-{seed}"
    noise = ("--tracker-noise", str(asked.tracker_noise)) if asked.tracker_noise else ()
    command("synth", "--video", "--seed", str(seed), *noise, "--out", str(film))
    command("ingest", "--as", "tracks", str(film / "cameras.yaml"), "--out", str(corpus))
    ends = {}
    for links in ("off", "auto"):
        run = base / f"{links}-{seed}"
        k1 = ("labels.k1=30", "labels.k2=6") if links == "off" else ("labels.k1=auto",)
        rounds = (f"homogeneous_rounds={asked.rounds}", "heterogeneous_rounds=0")
        words = (f"labels.links={links}", *rounds, *k1, "labels.eps=auto", *asked.overrides)
        command("run", "--corpus", str(corpus), "--out", str(run), *words)
        ends[links] = after(run)
    opened = Corpus.open(corpus)
    rows = []
    for scenario, group in opened.groups():
        block = Block(scenario, group)
        found = of_block(base / f"auto-{seed}", opened, block)
        trained = {f"{name} at end": end[block.name] for name, end in ends.items()}
        rows.append({"seed": seed, "block": block.name, **found, **trained})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tracker-noise", type=float, default=0.0)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("overrides", nargs="*", help="changes to the recipe `tiny`")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with scratch() as base:
        for seed in range(asked.seeds):
            rows += one_seed(base, seed, asked)
            show(f"seed {seed}", rows[-2:])
    names = [name for name in rows[0] if name not in ("seed", "block")]
    medians = {name: statistics.median(row[name] for row in rows) for name in names}
    show("medians", [medians])
    record(asked.json, {"rows": rows, "medians": medians})


if __name__ == "__main__":
    main()
