"""The CSR arrays that link two blocks: taking rows of them, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_problem import links

from itkm_core.errors import TrainingError
from itkm_core.learning.terms import Positives
from itkm_core.neighbors.csr import Csr


@given(
    rows=st.lists(st.lists(st.integers(0, 9), max_size=4, unique=True), min_size=1, max_size=6),
    wanted=st.lists(st.integers(0, 5), max_size=8),
)
def test_take_is_the_loop(rows: list[list[int]], wanted: list[int]) -> None:
    numbers = np.array([w % len(rows) for w in wanted], np.int64)
    indptr, indices = links(1, rows).take(numbers)
    assert indptr.dtype == indices.dtype == np.int64
    found = [indices[a:b].tolist() for a, b in pairwise(indptr)]
    assert found == [rows[number] for number in numbers]


@pytest.mark.parametrize(
    ("indptr", "indices", "hard", "message"),
    [
        ([1, 2], [0], None, "from 0"),
        ([0, 2, 1], [0], None, "never falling"),
        ([], [], None, "not a CSR"),
        ([0, 2], [0], None, "ending at 2"),
        ([0, 1], [0], np.zeros((2, 3), np.int32), "for 1 rows"),
    ],
)
def test_not_a_csr(indptr: list, indices: list, hard: np.ndarray | None, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Positives(1, Csr(np.array(indptr, np.int64), np.array(indices, np.int64)), hard)


def test_links_must_lead_somewhere() -> None:
    good = links(1, [[0, 2], []], np.array([[2], [1]], np.int32))
    good.check("matches", 0, [2, 3])
    for block, sizes, message in [
        (0, [3, 3], "expected 3 rows"),
        (0, [2, 2], r"linked to rows 0 to 2.*below 2"),
        (0, [2], "block 1 as its opposite"),
        (1, [2, 3], "another one"),
    ]:
        with pytest.raises(TrainingError, match=message):
            good.check("matches", block, sizes)
    with pytest.raises(TrainingError, match="rows -1 to 2"):
        links(1, [[-1, 2], []]).check("matches", 0, [2, 3])
    links(1, [[], []]).check("matches", 0, [2, 0])
