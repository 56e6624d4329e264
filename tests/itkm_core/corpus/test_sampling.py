"""The batch plan: who is in it, that nothing but its arguments decides, and how it is sliced."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.corpus import sampling
from itkm_core.corpus.sampling import (
    BatchPlan,
    GroupIndex,
    GroupLabels,
    plan_step,
    slice_bounds,
)
from itkm_core.corpus.spread import Tracks
from itkm_core.errors import LabelError, TrainingError


def make_labels(sizes: list[int], outliers: int = 3, group: int = 0, seed: int = 0) -> GroupLabels:
    """Clusters of the given sizes and some outliers, in a shuffled order."""
    labels = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(outliers, -1)])
    rng = np.random.default_rng(seed)
    sample_ids = rng.permutation(10_000)[: len(labels)]
    return GroupLabels(0, group, sample_ids.astype(np.int64), labels.astype(np.int64))


def plan(
    *groups: GroupLabels | GroupIndex,
    clusters: int = 3,
    images: int = 4,
    seed: int = 7,
    round: int = 1,
    step: int = 0,
) -> BatchPlan:
    return plan_step(
        groups,  # type: ignore[arg-type]
        clusters_per_group=clusters,
        images_per_cluster=images,
        seed=seed,
        round=round,
        step=step,
    )


def same(first: BatchPlan, second: BatchPlan) -> bool:
    return all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name))
        for field in dataclasses.fields(BatchPlan)
    )


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    clusters=st.integers(1, 6),
    images=st.integers(1, 6),
    step=st.integers(0, 20),
)
def test_a_step_holds_distinct_clusters_and_their_images_as_evenly_as_can_be(
    sizes: list[int], clusters: int, images: int, step: int
) -> None:
    labels = make_labels(sizes)
    of = dict(zip(labels.sample_ids.tolist(), labels.labels.tolist(), strict=True))
    made = plan(labels, clusters=clusters, images=images, step=step)
    assert [of[s] for s in made.sample_ids.tolist()] == made.labels.tolist()
    per_cluster = Counter(made.labels.tolist())
    assert len(per_cluster) == min(clusters, len(sizes))
    assert set(per_cluster.values()) == {images}
    for cluster in per_cluster:
        times = Counter(made.sample_ids[made.labels == cluster].tolist())
        assert len(times) == min(images, sizes[cluster])
        assert max(times.values()) - min(times.values()) <= 1


@given(num=st.integers(1, 11), clusters=st.integers(1, 5), epoch=st.integers(0, 3))
def test_an_epoch_visits_every_cluster(num: int, clusters: int, epoch: int) -> None:
    index = GroupIndex.from_labels(make_labels([2] * num))
    steps = -(-num // clusters)
    visits: Counter[int] = Counter()
    for step in range(epoch * steps, (epoch + 1) * steps):
        visits.update(set(plan(index, clusters=clusters, step=step).labels.tolist()))
    assert set(visits) == set(range(num))
    # Nothing comes twice but what fills the last step up.
    assert sum(visits.values()) == steps * min(clusters, num)
    assert max(visits.values()) <= 2


def test_the_order_changes_from_epoch_to_epoch_and_round_to_round() -> None:
    index = GroupIndex.from_labels(make_labels([1] * 12))
    orders = [
        tuple(
            label
            for step in range(epoch * 4, epoch * 4 + 4)
            for label in plan(index, images=1, round=round, step=step).labels
        )
        for epoch, round in ((0, 1), (1, 1), (0, 2))
    ]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(orders)) == 3


def test_a_plan_depends_on_its_arguments_only() -> None:
    groups = [make_labels([3, 5, 1, 7, 2], group=g, seed=g) for g in (0, 1)]
    indices = [GroupIndex.from_labels(group) for group in groups]
    first = plan(*groups, step=5)
    np.random.seed(3)  # noqa: NPY002 -- the global generator must not matter
    for step in range(9):
        plan(*indices, step=step)
    sampling._cluster_order.cache_clear()
    assert same(first, plan(*indices, step=5))
    shuffled = []
    for group in groups:
        order = np.random.default_rng(1).permutation(len(group.labels))
        shuffled.append(
            dataclasses.replace(
                group, sample_ids=group.sample_ids[order], labels=group.labels[order]
            )
        )
    assert same(first, plan(*shuffled, step=5))
    for change in ({"seed": 8}, {"round": 2}, {"step": 6}):
        other = plan(*groups, **{"step": 5, **change})
        assert not np.array_equal(first.sample_ids, other.sample_ids)
        assert not set(first.keys.tolist()) & set(other.keys.tolist())


def test_without_tracklets_a_plan_is_what_it_has_always_been() -> None:
    labels = np.array([0] * 5 + [1] * 2 + [-1] * 2 + [2] * 9)
    plain = GroupLabels(0, 1, np.arange(18) * 3, labels)
    cameras, unknown = np.arange(18) % 3, np.full(18, -1)
    for tracks in (None, Tracks(cameras, unknown, np.arange(18))):
        made = plan(dataclasses.replace(plain, tracks=tracks), clusters=2, round=2, step=3)
        assert made.sample_ids.tolist() == [36, 33, 42, 30, 18, 15, 18, 15]
        assert made.labels.tolist() == [2, 2, 2, 2, 1, 1, 1, 1]
        assert made.keys[:2].tolist() == [4605890492582422063, 8710290674816504716]


@given(step=st.integers(0, 30), seed=st.integers(0, 9))
def test_with_tracklets_a_cluster_gives_images_of_as_many_cameras_and_tracklets_as_it_has(
    step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = make_labels([30, 2, 17, 6, 1], seed=seed)
    num = len(labels.labels)
    tracks = Tracks(rng.integers(0, 3, num), rng.integers(-1, 4, num), rng.integers(0, 50, num))
    made = plan(dataclasses.replace(labels, tracks=tracks), clusters=4, step=step)
    assert made.labels.tolist() == plan(labels, clusters=4, step=step).labels.tolist()
    row_of = {int(sample): row for row, sample in enumerate(labels.sample_ids)}
    own = np.where(tracks.tracklet < 0, -1 - np.arange(num), tracks.tracklet)
    tracklets = tracks.camera * 1000 + own
    for cluster in set(made.labels.tolist()):
        rows = [row_of[sample] for sample in made.sample_ids[made.labels == cluster].tolist()]
        members = np.flatnonzero(labels.labels == cluster)
        assert set(rows) <= set(members.tolist())
        assert len(set(rows)) == min(4, len(members))
        cameras = len(np.unique(tracks.camera[members]))
        assert len(np.unique(tracks.camera[rows])) == min(4, cameras)
        if cameras == 1 or len(members) <= 4:
            known = len(np.unique(tracklets[members]))
            assert len(np.unique(tracklets[rows])) == min(4, known)
    order = rng.permutation(num)
    mixed = GroupLabels(0, 0, labels.sample_ids[order], labels.labels[order], tracks.rows(order))
    assert same(made, plan(mixed, clusters=4, step=step))


def test_a_group_is_planned_the_same_whoever_is_beside_it() -> None:
    first, second = make_labels([4] * 6, group=0), make_labels([4] * 6, group=1, seed=1)
    alone, together = plan(second), plan(first, second)
    np.testing.assert_array_equal(together.sample_ids[together.block == 1], alone.sample_ids)
    assert plan(first).labels.tolist() != alone.labels.tolist()


def test_blocks_scenarios_and_groups() -> None:
    groups = [
        dataclasses.replace(make_labels([2] * k, seed=k), scenario=s, group=g)
        for k, (s, g) in enumerate([(0, 0), (0, 1), (2, 0)], start=2)
    ]
    made = plan(*groups)
    counts = [8, 12, 12]  # a group with two clusters gives both
    assert made.block.tolist() == np.repeat([0, 1, 2], counts).tolist()
    assert made.scenarios.tolist() == np.repeat([0, 0, 2], counts).tolist()
    assert made.groups.tolist() == np.repeat([0, 1, 0], counts).tolist()
    assert len(set(made.keys.tolist())) == len(made) == 32
    assert (made.round, made.step, made.num_blocks) == (1, 0, 3)


@given(world=st.integers(1, 9))
def test_slices_make_up_the_plan(world: int) -> None:
    made = plan(make_labels([3] * 5), make_labels([3] * 5, group=1), clusters=5, images=3)
    parts = [made.slice(rank, world) for rank in range(world)]
    for field in ("sample_ids", "scenarios", "groups", "labels", "block", "keys"):
        whole = getattr(made, field)
        np.testing.assert_array_equal(np.concatenate([getattr(p, field) for p in parts]), whole)
        for part, expected in zip(parts, np.array_split(whole, world), strict=True):
            np.testing.assert_array_equal(getattr(part, field), expected)
    bounds = slice_bounds(len(made), world)
    assert [len(p) for p in parts] == np.diff(bounds).tolist()
    assert parts[-1].num_blocks == 2


def test_images_of_a_cluster_are_equally_likely() -> None:
    index = GroupIndex.from_labels(make_labels([7, 2], outliers=0))
    times: Counter[int] = Counter()
    for step in range(3000):
        made = plan(index, clusters=2, images=3, step=step)
        times.update(made.sample_ids.tolist())
    large, small = index.members[:7], index.members[7:]
    # 9,000 draws over 7 images, and over 2; five standard deviations.
    assert max(abs(times[int(i)] - 9000 / 7) for i in large) < 5 * 27
    assert max(abs(times[int(i)] - 4500) for i in small) < 5 * 27


def test_a_step_of_a_large_corpus_is_planned_in_milliseconds() -> None:
    num, clusters = 1_000_000, 50_000
    labels = np.random.default_rng(0).integers(-1, clusters, num)
    labels[:clusters] = np.arange(clusters)
    index = GroupIndex.from_labels(GroupLabels(0, 0, np.arange(num), labels))
    plan(index, clusters=16)
    best = min(timed(index, step) for step in range(1, 30))
    assert best < 0.005


def timed(index: GroupIndex, step: int) -> float:
    started = time.thread_time()
    plan(index, clusters=16, step=step)
    return time.thread_time() - started


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-1, -1], "no cluster to learn from among 2 images"),
        ([], "no cluster"),
        ([0, 2, -1], "cluster 1 has no image"),
    ],
)
def test_labels_that_cannot_be_learnt_from(labels: list[int], message: str) -> None:
    group = GroupLabels(1, 0, np.arange(len(labels)), np.array(labels, np.int64))
    with pytest.raises(LabelError, match=f"scenario 1, group 0: {message}"):
        plan(group)


def test_lengths_that_differ() -> None:
    with pytest.raises(LabelError, match="one label per sample id"):
        plan(GroupLabels(0, 0, np.arange(3), np.zeros(2, np.int64)))


@pytest.mark.parametrize("options", [{"clusters": 0}, {"images": 0}])
def test_empty_requests(options: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="at least 1"):
        plan(make_labels([2]), **options)
    with pytest.raises(TrainingError, match="0 groups"):
        plan()
