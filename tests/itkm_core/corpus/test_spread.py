"""Images of a cluster: from different cameras first, then different tracklets, then frames far apart."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.corpus.spread import Spread, Tracks


def tracks_of(*cameras: list[int], seed: int = 0) -> Tracks:
    """One cluster: for each camera the sizes of its tracklets, frames ascending; in a shuffled order."""
    rows = [
        (camera, tracklet, 10 * frame)
        for camera, sizes in enumerate(cameras)
        for tracklet, size in enumerate(sizes)
        for frame in range(size)
    ]
    table = np.random.default_rng(seed).permutation(np.array(rows, np.int64))
    return Tracks(*table.T)


def drawn(tracks: Tracks, num: int, seed: int = 0) -> list[tuple[int, int, int]]:
    spread = Spread.of(np.array([0, len(tracks.camera)]), tracks)
    places = spread.draw(np.array([0]), num, np.random.default_rng(seed))[0]
    assert len(set(places.tolist())) == num
    return sorted(zip(*(a[places].tolist() for a in vars(tracks).values()), strict=True))


def dealt(sizes: list[int], num: int) -> list[int]:
    """The slow, obvious way: one from everyone who still has one, again and again. Sorted."""
    given_by = [0] * len(sizes)
    while num:
        left = [k for k in range(len(sizes)) if given_by[k] < sizes[k]]
        fewest = min(given_by[k] for k in left)
        given_by[next(k for k in left if given_by[k] == fewest)] += 1
        num -= 1
    return given_by


@given(
    cameras=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4), min_size=1, max_size=4),
    num=st.integers(1, 8),
    seed=st.integers(0, 20),
)
def test_cameras_then_tracklets_share_as_evenly_as_they_can(
    cameras: list[list[int]], num: int, seed: int
) -> None:
    num = min(num, sum(map(sum, cameras)))
    made = drawn(tracks_of(*cameras, seed=seed), num, seed)
    per_camera = Counter(camera for camera, _, _ in made)
    # Equally large shares may be with anyone; how many shares there are of each size is given.
    assert shares(per_camera, len(cameras)) == sorted(dealt([sum(s) for s in cameras], num))
    for camera, sizes in enumerate(cameras):
        per_tracklet = Counter(t for c, t, _ in made if c == camera)
        expected = dealt(sizes, per_camera[camera])
        assert shares(per_tracklet, len(sizes)) == sorted(expected)
        for tracklet, size in enumerate(sizes):
            frames = [f // 10 for c, t, f in made if (c, t) == (camera, tracklet)]
            if len(frames) > 1:
                assert np.diff(frames).min() >= size // len(frames)


def shares(counted: Counter[int], num: int) -> list[int]:
    return sorted(counted[k] for k in range(num))


def test_four_of_a_cluster_come_from_two_cameras_and_four_tracklets() -> None:
    tracks = tracks_of([40, 40, 3], [1, 90])
    for seed in range(20):
        made = drawn(tracks, 4, seed)
        assert Counter(camera for camera, _, _ in made) == {0: 2, 1: 2}
        assert len({(camera, tracklet) for camera, tracklet, _ in made}) == 4


def test_all_images_of_a_tracklet_and_all_tracklets_are_as_likely() -> None:
    tracks = tracks_of([7], [5, 5])
    spread = Spread.of(np.array([0, 17]), tracks)
    times: Counter[tuple[int, int, int]] = Counter()
    rng = np.random.default_rng(1)
    for _ in range(3000):
        for place in spread.draw(np.array([0]), 4, rng)[0]:
            times[tuple(int(a[place]) for a in vars(tracks).values())] += 1
    # Half of 12,000 from each camera; five standard deviations.
    assert max(abs(times[0, 0, 10 * f] - 6000 / 7) for f in range(7)) < 150
    assert max(abs(times[1, t, 10 * f] - 600) for t in (0, 1) for f in range(5)) < 125


def test_an_image_without_a_tracklet_is_one_of_its_own() -> None:
    tracks = Tracks(
        np.zeros(12, int), np.array([3] * 8 + [-1] * 4), np.array([*range(8), *[-1] * 4])
    )
    spread = Spread.of(np.array([0, 12]), tracks)
    places = spread.draw(np.array([0]), 5, np.random.default_rng(0))[0]
    assert sorted(places.tolist())[1:] == [8, 9, 10, 11]
    assert min(places) < 8


def test_clusters_do_not_mix() -> None:
    rng = np.random.default_rng(2)
    starts = np.concatenate([[0], np.cumsum(rng.integers(4, 30, 50))])
    num = int(starts[-1])
    tracks = Tracks(rng.integers(-1, 3, num), rng.integers(-1, 5, num), rng.integers(0, 90, num))
    spread = Spread.of(starts, tracks)
    clusters = rng.permutation(50)[:20]
    made = spread.draw(clusters, 4, np.random.default_rng(0))
    assert made.shape == (20, 4)
    for row, cluster in zip(made, clusters, strict=True):
        assert len(set(row.tolist())) == 4
        assert starts[cluster] <= row.min() <= row.max() < starts[cluster + 1]
        cameras = len(np.unique(tracks.camera[starts[cluster] : starts[cluster + 1]]))
        assert len(np.unique(tracks.camera[row])) == min(4, cameras)


@pytest.mark.parametrize("clusters", [16, 2000])
def test_a_million_frames_are_drawn_from_in_milliseconds(clusters: int) -> None:
    num = 1_000_000
    starts = np.linspace(0, num, clusters + 1).astype(np.int64)
    row = np.arange(num)
    tracks = Tracks(row // 100 % 6, row // 50, row % 50)
    spread = Spread.of(starts, tracks)
    chosen = np.arange(16)
    best = min(timed(spread, chosen, seed) for seed in range(9))
    assert best < 0.03


def timed(spread: Spread, clusters: np.ndarray, seed: int) -> float:
    started = time.thread_time()
    spread.draw(clusters, 4, np.random.default_rng(seed))
    return time.thread_time() - started
