"""Pseudo-identities: one numbering for a whole corpus, of labels that are numbered block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.neighbors.groups import number_groups
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.matches import read_clusters
from pipelines.artifacts.run_folder import RunFolder
from pipelines.run.dag import Kind, Round

Ints = npt.NDArray[np.int64]


def number_clusters(labels: pa.Table, joined: Mapping[str, Ints]) -> dict[Block, Ints]:
    """The pseudo-identity of each cluster of each block: int64 [K], from 1, unique in the corpus.

    labels: as pseudo_labels.parquet. joined: by scenario, int64 [n, 2]: pairs of clusters of groups 0 and 1 that are
    one person, each cluster in one at most.
    """
    identities: dict[Block, Ints] = {}
    next_one = 1
    sizes = labels.group_by(["scenario", "group"]).aggregate([("label", "max")]).to_pylist()
    for row in sorted(sizes, key=lambda row: (row["scenario"], row["group"])):
        block = Block(row["scenario"], row["group"])
        own = np.zeros(row["label_max"] + 1, np.int64)
        if block.opposite in identities:
            pairs = joined.get(block.scenario, np.zeros((0, 2), np.int64))
            own[pairs[:, 1]] = identities[block.opposite][pairs[:, 0]]
        new = own == 0
        own[new] = np.arange(next_one, next_one + new.sum())
        next_one += int(new.sum())
        identities[block] = own
    return identities


def joined_clusters(run: RunFolder, rounds: Sequence[Round], labels: pa.Table) -> dict[str, Ints]:
    """By scenario, the clusters of its two groups that the last round of Stage III holds for one person: int64 [n, 2].

    That round matched its own clusters; those of `labels`, made by the finished encoder, are taken for the ones that
    they share most images with (`same_cluster`). Only pairs that are reliable and each other's best are taken, so that
    no cluster is in two. [ours]
    """
    matched = next((each for each in reversed(rounds) if each.of(Kind.MATCH)), None)
    joined: dict[str, Ints] = {}
    for step in matched.of(Kind.MATCH) if matched else ():
        matches = read_clusters(run.step(step.name))
        if matches is None:
            continue
        assert matched is not None
        before = {
            label.group: read_labels(run.step(label.name))
            for label in matched.of(Kind.LABEL)
            if label.scenario == step.scenario
        }
        pairs = matches.pairs[matches.reliable & matches.mutual]
        carried = [_carried(before[group], labels, step.scenario, group) for group in (0, 1)]
        now = np.stack([carried[group][pairs[:, group]] for group in (0, 1)], axis=1)
        joined[step.scenario] = now[(now >= 0).all(axis=1)]
    return joined


def same_cluster(before: Ints, after: Ints) -> Ints:
    """The cluster of `after` that each one of `before` is: int64 [K_before], -1 if none is.

    before, after: int64 [N], labels of the same images, -1 outliers. Two clusters are the same if more than half of
    the images of each are in the other.
    """
    found = np.full(before.max(initial=-1) + 1, -1, np.int64)
    sizes = [np.bincount(labels[labels >= 0]) for labels in (before, after)]
    inside = np.flatnonzero((before >= 0) & (after >= 0))
    pair, first = number_groups(before[inside], after[inside])
    old, new, shared = before[inside][first], after[inside][first], np.bincount(pair)
    same = (2 * shared > sizes[0][old]) & (2 * shared > sizes[1][new])
    found[old[same]] = new[same]
    return found


def _carried(before: pa.Table, labels: pa.Table, scenario: str, group: int) -> Ints:
    own = labels.filter((pc.field("scenario") == scenario) & (pc.field("group") == group))
    own = own.sort_by("sample_id")
    before = before.sort_by("sample_id")
    assert before["sample_id"].equals(own["sample_id"]), "every round labels all training images"
    return same_cluster(before["label"].to_numpy(), own["label"].to_numpy())
