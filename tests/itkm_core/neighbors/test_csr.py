import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.neighbors.csr import Csr, row_starts


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), max_size=8),
)
def test_rows_are_taken_as_from_a_list(lists, wanted):
    rows = np.array([w % len(lists) for w in wanted], np.int64)
    csr = Csr(
        row_starts([len(each) for each in lists]),
        np.array([x for each in lists for x in each], np.int32),
    )
    taken = csr.take(rows)
    assert [taken.row(at).tolist() for at in range(len(rows))] == [lists[row] for row in rows]
    assert taken.indices.dtype == np.int32
    np.testing.assert_array_equal(csr.indices[csr.places(rows).indices], taken.indices)
    assert csr.sizes.tolist() == [len(each) for each in lists]
