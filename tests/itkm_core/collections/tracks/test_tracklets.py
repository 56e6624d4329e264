from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.collections.tracks.tracklets import split_ids


def naive(frames: list[int], ids: list[int], max_gap: int) -> list[tuple[int, int, int, list[int]]]:
    """The slow twin: (first, id, last, rows) of each tracklet."""
    found = []
    for one in set(ids):
        rows = sorted(
            (frame, row) for row, (frame, i) in enumerate(zip(frames, ids, strict=True)) if i == one
        )
        run = [rows[0]]
        for each in rows[1:]:
            if each[0] - run[-1][0] > max_gap:
                found.append((run[0][0], one, run[-1][0], [row for _, row in run]))
                run = []
            run.append(each)
        found.append((run[0][0], one, run[-1][0], [row for _, row in run]))
    return sorted(found)


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 4)), min_size=1, max_size=60, unique=True
    ),
    st.integers(1, 12),
)
def test_as_the_naive_twin(boxes: list[tuple[int, int]], max_gap: int) -> None:
    frames, ids = zip(*boxes, strict=True)
    found = split_ids(np.array(frames), np.array(ids), max_gap)
    expected = naive(list(frames), list(ids), max_gap)
    assert found.first.tolist() == [first for first, _, _, _ in expected]
    assert found.id.tolist() == [one for _, one, _, _ in expected]
    assert found.last.tolist() == [last for _, _, last, _ in expected]
    for tracklet, (_, _, _, rows) in enumerate(expected):
        assert sorted(np.flatnonzero(found.of == tracklet)) == sorted(rows)


def test_a_gap_of_the_bound_is_none() -> None:
    assert len(split_ids(np.array([1, 6]), np.array([3, 3]), 5)) == 1
    assert len(split_ids(np.array([1, 7]), np.array([3, 3]), 5)) == 2
