import numpy as np
import pytest
import torch
from made import unit_noise

from itkm_core.neighbors.products import products, readable


def test_torch_still_has_the_product_of_onednn():
    if not torch.backends.mkldnn.is_available():
        pytest.skip("a torch without oneDNN")
    assert hasattr(torch.ops.mkldnn, "_linear_pointwise"), (
        "torch dropped torch.ops.mkldnn._linear_pointwise, which products.py calls where it is there: exact search is "
        "then about half as fast on AMD's cores. Find its successor, or take the plain product for good"
    )


def test_products_are_float32_and_settings_come_back():
    queries, rows = unit_noise(5, 16, 0), unit_noise(7, 16, 1)
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with products() as product:
        found = product(queries, rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, queries.astype(float) @ rows.T.astype(float), atol=1e-6)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


@pytest.mark.filterwarnings("error")
def test_read_only_memory_is_read_where_it_is():
    rows = unit_noise(6, 4)
    assert readable(rows) is rows
    rows.flags.writeable = False
    again = readable(rows)
    assert again.ctypes.data == rows.ctypes.data, (
        "readable() copied: numpy no longer makes an array of memory at an address"
    )
    np.testing.assert_array_equal(
        torch.from_numpy(again).numpy(), rows
    )  # torch warns of read-only ones
    assert readable(rows[:0]).shape == (0, 4)
    np.testing.assert_array_equal(readable(rows.T), rows.T)  # not contiguous: a copy
