from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.collections.tracks.choose import at_most, every_nth

tracks = st.lists(
    st.tuples(st.integers(1, 90), st.integers(1, 60), st.integers(1, 3)), min_size=1, max_size=8
)
"""(first frame, boxes, frames between them) of each tracklet."""


def boxes_of(each: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    frames = [np.arange(num) * step + first for first, num, step in each]
    tracklets = [np.full(len(one), number) for number, one in enumerate(frames)]
    return np.concatenate(frames), np.concatenate(tracklets)


@given(tracks, st.integers(1, 20))
def test_tracklets_seen_together_keep_a_frame_in_common(each, most: int) -> None:
    frame, tracklet = boxes_of(each)
    chosen = at_most(frame, tracklet, most)
    for a, b in combinations(range(len(each)), 2):
        together = set(frame[tracklet == a]) & set(frame[tracklet == b])
        kept = set(frame[chosen & (tracklet == a)]) & set(frame[chosen & (tracklet == b)])
        assert bool(together) == bool(kept)
    counts = np.bincount(tracklet[chosen])
    assert counts.min() >= 1
    # Beyond the bound there is at most one box for each other tracklet.
    assert counts.max() <= most + len(each) - 1


@given(tracks, st.integers(1, 20), st.randoms())
def test_the_order_of_rows_does_not_matter(each, most: int, random) -> None:
    frame, tracklet = boxes_of(each)
    order = np.array(random.sample(range(len(frame)), len(frame)))
    assert np.array_equal(
        at_most(frame[order], tracklet[order], most), at_most(frame, tracklet, most)[order]
    )


def test_one_tracklet_alone_is_spread_evenly() -> None:
    frame = np.arange(1, 101)
    chosen = frame[at_most(frame, np.zeros(100, np.int64), 16)]
    assert chosen.tolist() == list(range(1, 101, 8))
    assert at_most(frame, np.zeros(100, np.int64), 100).all()


def test_a_short_one_beside_a_long_one() -> None:
    frame = np.concatenate([np.arange(1, 1001), np.arange(130, 140)])
    tracklet = np.repeat([0, 1], [1000, 10])
    chosen = at_most(frame, tracklet, 10)
    assert np.count_nonzero(chosen[:1000]) == 8 + 1  # every 128th, and one for the other's sake
    assert chosen[1000:].all()
    both = set(frame[:1000][chosen[:1000]]) & set(frame[1000:])
    assert both == {137}  # 136 from 0: on the coarsest grid


def test_every_nth_of_the_frames_that_there_are() -> None:
    assert np.flatnonzero(every_nth(np.arange(1, 12), 5)).tolist() == [0, 5, 10]
    assert every_nth(np.array([2, 4, 6, 8, 8]), 2).tolist() == [True, False, True, False, False]
