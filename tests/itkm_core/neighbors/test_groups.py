"""Groups of rows against dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from itkm_core.neighbors.groups import most_frequent, number_groups, number_in_order


@pytest.mark.parametrize("seed", range(4))
def test_groups_are_the_distinct_rows_in_their_sort_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = rng.choice(["b", "a", "ab"], 200)
    columns = (names, rng.integers(-1, 3, 200).astype(np.int8), rng.integers(-(2**62), 2**62, 200))
    columns = (*columns[:2], columns[2][rng.integers(0, 3, 200)])
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    number, first = number_groups(*columns)
    distinct = sorted(set(rows))
    assert [distinct.index(row) for row in rows] == number.tolist()
    assert [rows.index(row) for row in distinct] == first.tolist()


def test_strings_of_arrow_and_no_rows_at_all() -> None:
    number, first = number_groups(np.array(["b", "a"], object), np.array([1, 1]))
    assert (number.tolist(), first.tolist()) == ([1, 0], [1, 0])
    for each in number_groups(np.zeros(0, np.int64), np.zeros(0, np.int64)):
        assert len(each) == 0
    found, sizes = most_frequent([], [], 2)
    assert (found.tolist(), sizes.tolist()) == ([-1, -1], [0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_the_most_frequent_value_as_counting_finds_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, groups = rng.integers(-1, 4, 60), rng.integers(0, 12, 60)
    values[groups == 3] = -1
    found, sizes = most_frequent(values, groups, 14)
    for group in range(14):
        counts = Counter(values[(groups == group) & (values >= 0)].tolist())
        best = min(counts, key=lambda value: (-counts[value], value), default=-1)
        assert (found[group], sizes[group]) == (best, counts[best])


def test_groups_are_numbered_in_order_of_their_first_row():
    number, first = number_in_order([7, 3, 7, 3, 5], [0, 0, 1, 0, 0])
    assert number.tolist() == [0, 1, 2, 1, 3]
    assert first.tolist() == [0, 1, 2, 4]
    assert [each.tolist() for each in number_in_order([])] == [[], []]
