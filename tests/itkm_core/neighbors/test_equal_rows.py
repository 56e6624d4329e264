import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.neighbors import equal_rows
from itkm_core.neighbors.csr import Csr
from itkm_core.neighbors.equal_rows import group_equal_lists, group_equal_rows


def check_groups(groups, keys):
    """Against a dict: groups in order of first row, members ascending."""
    expected = {}
    for row, key in enumerate(keys):
        expected.setdefault(key, []).append(row)
    members = np.split(groups.members.indices, groups.members.indptr[1:-1])
    assert [m.tolist() for m in members[: len(expected)]] == list(expected.values())
    assert groups.first.tolist() == [rows[0] for rows in expected.values()]
    assert groups.members.sizes.tolist() == [len(rows) for rows in expected.values()]
    assert [members[g][0] for g in groups.group] == [expected[key][0] for key in keys]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 5))
def test_equal_rows(seed, num_rows, width):
    values = np.random.default_rng(seed).choice([-1.0, -0.0, 0.0, 1e-20, 0.5], (num_rows, width))
    check_groups(group_equal_rows(values.astype(np.float32)), [tuple(r) for r in values.tolist()])


def test_equal_sparse_rows_have_equal_columns_and_values():
    start = np.array([0, 2, 4, 6, 6, 8, 9, 9])
    columns = np.array([1, 2, 1, 2, 1, 3, 1, 2, 1], np.int32)
    values = np.array([0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.5, 0.75, 0.5])
    groups = group_equal_lists(Csr(start, columns), values)
    check_groups(groups, ["a", "a", "other column", "empty", "other value", "shorter", "empty"])


def test_rows_of_one_hash_are_compared():
    values = np.array([1.0, 2.0, 1.0, 3.0, 2.0])
    leader = equal_rows._leaders(
        Csr(np.arange(6), np.zeros(0, np.int32)), values, np.zeros(5, np.uint64), np.arange(5)
    )
    assert leader.tolist() == [0, 1, 0, 3, 1]
