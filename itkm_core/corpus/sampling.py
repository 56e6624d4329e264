"""The batch plan: which images a step sees, a pure function of (labels, seed, round, step).

The global batch is planned first and then sliced by rank, so any number of workers, also after a
resume, see the same images in the same order (docs/definition.md, "Batches").

Shapes: n images and K clusters in one (scenario, group); P clusters x Q images of each per step,
B images over all groups.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itkm_core.corpus.random_keys import row_keys
from itkm_core.corpus.spread import Spread, Tracks
from itkm_core.errors import LabelError, TrainingError

Ints = NDArray[np.int64]

# Purposes: draws for one must not depend on those for another.
_CLUSTER_ORDER, _IMAGE_DRAW, _ROW_KEYS = 1, 2, 3


@dataclass(frozen=True)
class GroupLabels:
    """One (scenario, group): `sample_ids` int64 [n], their `labels` int64 [n], -1 an outlier, and their `tracks`."""

    scenario: int
    group: int
    sample_ids: Ints
    labels: Ints
    tracks: Tracks | None = None


@dataclass(frozen=True)
class GroupIndex:
    """The clusters of one (scenario, group), made once a round so that planning a step is cheap.

    Attributes:
        scenario, group: whose clusters they are.
        members: int64, sample ids sorted by (cluster, sample id), outliers left out.
        starts: int64 [K + 1], cluster k is `members[starts[k]:starts[k + 1]]`.
        spread: the members by tracklet; None if no image has one.
    """

    scenario: int
    group: int
    members: Ints
    starts: Ints
    spread: Spread | None = None

    @property
    def num_clusters(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def from_labels(cls, labels: GroupLabels) -> GroupIndex:
        """Sort a group's images by cluster.

        Raises:
            LabelError: no cluster, lengths that differ, or cluster numbers with gaps.
        """
        where = f"scenario {labels.scenario}, group {labels.group}"
        if labels.sample_ids.shape != labels.labels.shape or labels.labels.ndim != 1:
            raise LabelError(
                f"{where}: {labels.sample_ids.shape} sample ids and {labels.labels.shape} labels, "
                "expected one label per sample id"
            )
        kept = labels.labels >= 0
        clusters, samples = labels.labels[kept], labels.sample_ids[kept]
        if len(clusters) == 0:
            raise LabelError(
                f"{where}: no cluster to learn from among {len(kept)} images. Label again with a "
                "larger labels.eps or a smaller labels.k1"
            )
        sizes = np.bincount(clusters)
        if (sizes == 0).any():
            raise LabelError(
                f"{where}: cluster {int(np.argmin(sizes))} has no image although cluster "
                f"{len(sizes) - 1} exists: expected cluster numbers without gaps"
            )
        order = np.lexsort((samples, clusters))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        spread = None
        if labels.tracks is not None and (labels.tracks.tracklet >= 0).any():
            spread = Spread.of(starts, labels.tracks.rows(kept).rows(order))
        return cls(labels.scenario, labels.group, samples[order].astype(np.int64), starts, spread)


@dataclass(frozen=True)
class BatchPlan:
    """The rows of one step, or of one worker's slice of it.

    Attributes:
        sample_ids, scenarios, groups, labels: int64 [B].
        block: int64 [B], the row's (scenario, group) as an index of what was planned from.
        keys: uint64 [B], seeds of the rows' augmentation.
        round, step: which step this is.
        num_blocks: number of (scenario, group).
    """

    sample_ids: Ints
    scenarios: Ints
    groups: Ints
    labels: Ints
    block: Ints
    keys: NDArray[np.uint64]
    round: int
    step: int
    num_blocks: int

    def __len__(self) -> int:
        return len(self.sample_ids)

    def rows(self, start: int, stop: int) -> BatchPlan:
        """Rows `start` up to `stop`, as a plan."""
        parts = {
            field.name: getattr(self, field.name)[start:stop]
            for field in dataclasses.fields(self)
            if field.name not in ("round", "step", "num_blocks")
        }
        return dataclasses.replace(self, **parts)

    def slice(self, rank: int, world: int) -> BatchPlan:
        """Worker `rank`'s contiguous part; the parts in order of rank make up the plan."""
        bounds = slice_bounds(len(self), world)
        return self.rows(bounds[rank], bounds[rank + 1])


def slice_bounds(num_rows: int, world: int) -> list[int]:
    """world + 1 bounds of nearly equal contiguous parts, as `np.array_split` makes them."""
    size, larger = divmod(num_rows, world)
    return [rank * size + min(rank, larger) for rank in range(world + 1)]


def slice_sizes(num_rows: int, world: int) -> list[int]:
    """The number of rows in each of these parts."""
    return np.diff(slice_bounds(num_rows, world)).tolist()


def plan_step(
    groups: Sequence[GroupLabels] | Sequence[GroupIndex],
    *,
    clusters_per_group: int,
    images_per_cluster: int,
    seed: int,
    round: int,
    step: int,
) -> BatchPlan:
    """Plan one step: min(P, K) clusters of every (scenario, group), Q images of each.

    Over an epoch of a group, ceil(K / P) steps, its clusters come in the order of one permutation
    without replacement; the last step, where the permutation runs short, fills up from its front. A
    cluster with fewer than Q images gives each of them as evenly often as Q allows. Where tracklets are
    known, the images of a larger one are spread over its cameras and tracklets (`corpus/spread.py`). [ours]

    Args:
        groups: one entry per (scenario, group); pass `GroupIndex` when planning many steps.
        clusters_per_group, images_per_cluster: P and Q, at least 1.
        seed, round, step: not negative; `step` counts from 0 within the round.

    Raises:
        LabelError: a group without clusters (see `GroupIndex.from_labels`).
        TrainingError: nothing to plan, or P or Q below 1.
    """
    if not groups or clusters_per_group < 1 or images_per_cluster < 1:
        raise TrainingError(
            f"{len(groups)} groups, clusters_per_group {clusters_per_group}, images_per_cluster "
            f"{images_per_cluster}: expected at least 1 of each"
        )
    samples: list[Ints] = []
    labels: list[Ints] = []
    indices = [g if isinstance(g, GroupIndex) else GroupIndex.from_labels(g) for g in groups]
    for index in indices:
        clusters = _clusters_of_step(index, clusters_per_group, seed, round, step)
        rng = _generator(seed, round, _IMAGE_DRAW, index.scenario, index.group, step)
        samples.append(_draw_images(index, clusters, images_per_cluster, rng))
        labels.append(np.repeat(clusters, images_per_cluster))
    counts = [len(part) for part in samples]
    num_rows = sum(counts)
    return BatchPlan(
        sample_ids=np.concatenate(samples),
        scenarios=np.repeat(np.array([i.scenario for i in indices], np.int64), counts),
        groups=np.repeat(np.array([i.group for i in indices], np.int64), counts),
        labels=np.concatenate(labels),
        block=np.repeat(np.arange(len(indices), dtype=np.int64), counts),
        keys=row_keys((seed, round, _ROW_KEYS, step), num_rows),
        round=round,
        step=step,
        num_blocks=len(indices),
    )


def _clusters_of_step(index: GroupIndex, num: int, seed: int, round: int, step: int) -> Ints:
    """int64 [min(num, K)], distinct."""
    total = index.num_clusters
    num = min(num, total)
    epoch, position = divmod(step, -(-total // num))
    order = _cluster_order(seed, round, index.scenario, index.group, epoch, total)
    return order[(position * num + np.arange(num)) % total]


@functools.lru_cache(maxsize=32)
def _cluster_order(
    seed: int, round: int, scenario: int, group: int, epoch: int, total: int
) -> Ints:
    """A permutation of the clusters, cached: with many clusters it costs more than all else."""
    rng = _generator(seed, round, _CLUSTER_ORDER, scenario, group, epoch)
    order = rng.permutation(total).astype(np.int64)
    order.setflags(write=False)
    return order


def _draw_images(index: GroupIndex, clusters: Ints, num: int, rng: np.random.Generator) -> Ints:
    """int64 [len(clusters) * num]: sample ids, without replacement where there are as many."""
    first = index.starts[clusters]
    sizes = index.starts[clusters + 1] - first
    places = np.empty((len(clusters), num), np.int64)
    large = sizes >= num
    if index.spread is not None:
        places[large] = index.spread.draw(clusters[large], num, rng)
    else:
        places[large] = first[large, None] + _distinct(sizes[large], num, rng)
    places[~large] = first[~large, None] + _tiled(sizes[~large], num, rng)
    return index.members[places].ravel()


def _distinct(sizes: Ints, num: int, rng: np.random.Generator) -> Ints:
    """[len(sizes), num]: distinct numbers below each size; a huge cluster costs no more.

    Robert Floyd's sampling algorithm (Bentley, "Programming Pearls", CACM 1987).
    """
    chosen = np.full((len(sizes), num), -1, np.int64)
    for place in range(num):
        last = sizes - num + place
        draw = rng.integers(0, last + 1)
        taken = (chosen == draw[:, None]).any(axis=1)
        chosen[:, place] = np.where(taken, last, draw)
    return chosen


def _tiled(sizes: Ints, num: int, rng: np.random.Generator) -> Ints:
    """[len(sizes), num]: the numbers below each size in a random order, repeated as needed."""
    order = rng.random((len(sizes), num))
    order[np.arange(num) >= sizes[:, None]] = 2.0
    shuffled = order.argsort(axis=1)
    return np.take_along_axis(shuffled, np.arange(num) % np.maximum(sizes, 1)[:, None], axis=1)


def _generator(*parts: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(parts))
