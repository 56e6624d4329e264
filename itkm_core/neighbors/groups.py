"""Rows that belong together by integers they share, such as the images of a tracklet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def number_groups(*columns: npt.ArrayLike) -> tuple[Ints, Ints]:
    """Number the distinct rows of columns [N] in their sort order, by the first column first.

    Returns the number of each row, int64 [N], 0 .. G-1, and the first row of each group, int64 [G]. Columns are
    integers or strings.
    """
    number = np.zeros(len(np.asarray(columns[0])), np.int64)
    first = np.zeros(0, np.int64)
    for column in columns:
        distinct, inverse = np.unique(np.asarray(column), return_inverse=True)
        keys = number * len(distinct) + inverse
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    return number, first


def number_in_order(*columns: npt.ArrayLike) -> tuple[Ints, Ints]:
    """As `number_groups`, but groups are numbered in order of their first row."""
    number, first = number_groups(*columns)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[number], np.sort(first)


def most_frequent(values: npt.ArrayLike, number: npt.ArrayLike, count: int) -> tuple[Ints, Ints]:
    """The most frequent value of each of `count` groups, and how many rows have it: both int64 [count].

    values: int [N]; those below 0 do not count, and a group of nothing else has -1 and 0 rows. Among equally frequent
    ones the lowest. number: int [N], each row's group, 0 .. count-1.
    """
    value, group = np.asarray(values, np.int64), np.asarray(number, np.int64)
    value, group = value[value >= 0], group[value >= 0]
    pairs, first = number_groups(group, value)
    rows = np.bincount(pairs, minlength=len(first))
    best = np.lexsort((value[first], -rows, group[first]))
    groups, start = np.unique(group[first][best], return_index=True)
    best = best[start]
    found, sizes = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    found[groups], sizes[groups] = value[first][best], rows[best]
    return found, sizes
