import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.neighbors.lookup import Lookup


@given(st.lists(st.integers(-5, 30), max_size=20), st.lists(st.integers(-6, 31), max_size=20))
def test_it_is_the_loop(ids, wanted):
    lookup = Lookup(np.array(ids, np.int64))
    rows, found = lookup.find(np.array(wanted, np.int64))
    assert rows.tolist() == [ids.index(each) if each in ids else 0 for each in wanted]
    assert found.tolist() == [each in ids for each in wanted]
    assert lookup.repeated.tolist() == [
        each for each in sorted(set(ids)) for _ in range(ids.count(each) - 1)
    ]
