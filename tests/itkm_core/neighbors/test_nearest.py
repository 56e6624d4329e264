import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors import lists, search
from itkm_core.neighbors import nearest as module
from itkm_core.neighbors.nearest import nearest

BACKENDS = ["faiss-flat", "torch"]
AWKWARD = [
    "random",
    "copies of every image",
    "copies of one image",
    "all equal",
    "one-hot",
    "coarse grid",
    "negative zero",
    "collapsed",
    "two dimensions",
    "one dimension",
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", AWKWARD)
def test_lists_are_the_twins(make, twin, name, backend):
    rows = make.awkward[name]
    for k in {1, 2, 7, min(31, len(rows)), len(rows)}:
        if k <= len(rows):
            found = nearest(rows, k, backend=backend)
            np.testing.assert_array_equal(found.indices, twin.lists(rows, k))
            exact = np.einsum("nd,nkd->nk", rows.astype(float), rows[found.indices].astype(float))
            np.testing.assert_allclose(found.similarities, exact, atol=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 4), st.integers(1, 60))
def test_lists_are_the_twins_on_coarse_rows(seed, num_rows, dimension, k):
    # Few different values: copies and exact ties everywhere.
    rows = np.random.default_rng(seed).integers(-1, 2, (num_rows, dimension)).astype(float)
    rows[np.linalg.norm(rows, axis=1) == 0, 0] = 1
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    k = min(k, num_rows)
    found = nearest(rows, k).indices
    similarity = np.stack([(rows.astype(float) * row).sum(axis=1) for row in rows.astype(float)])
    for i in range(num_rows):
        order = np.lexsort((np.arange(num_rows), -similarity[i], np.arange(num_rows) != i))
        np.testing.assert_array_equal(similarity[i, found[i]], similarity[i, order[:k]])
        assert found[i, 0] == i
        assert len(set(found[i])) == k


def test_self_is_first_among_copies(make):
    rows = np.repeat(make.people(1, 1, 8, 0.1, 0), 3000, axis=0)
    found = nearest(rows, 5).indices
    np.testing.assert_array_equal(found[:, 0], np.arange(3000))
    np.testing.assert_array_equal(found[100:, 1:], np.tile(np.arange(4), (2900, 1)))


def test_self_is_first_when_another_row_is_longer():
    rows = np.array([[1, 0], [1.0009, 0], [0, 1], [0, -1]], np.float32)
    np.testing.assert_array_equal(nearest(rows, 1).indices[:, 0], np.arange(4))
    np.testing.assert_array_equal(nearest(rows, 2).indices[0], [0, 1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_blocks_and_threads_change_nothing(make, twin, backend, monkeypatch):
    rows = make.people(60, 5, 12, 0.7, 1)
    expected = twin.lists(rows, 9)
    monkeypatch.setattr(search, "BLOCK_ROWS", 77)
    monkeypatch.setattr(module, "BLOCK_ROWS", 53)
    for threads in (1, 2, 5):
        found = nearest(rows, 9, backend=backend, num_threads=threads)
        np.testing.assert_array_equal(found.indices, expected)


def test_a_search_of_poor_precision_changes_nothing(make, twin, monkeypatch):
    # As if something had forced coarser products on the process: scores 1e-3 off, and each row's best
    # neighbour lost by far more, so that no single row looks doubtful.
    rows = make.people(40, 6, 12, 1.0, 2)
    expected = twin.lists(rows, 9)

    def poor(rows, width, backend, num_threads, use, queries, device):
        scores = rows @ rows.T + 1e-3
        np.put_along_axis(scores, expected[:, 1:2].astype(np.int64), -1, axis=1)
        order = np.argsort(-scores, axis=1)[:, :width]
        best = np.take_along_axis(scores, order, 1).astype(np.float32)
        return [use(0, best, order.astype(np.int32))]

    monkeypatch.setattr(lists, "search", poor)
    np.testing.assert_array_equal(nearest(rows, 9).indices, expected)


def test_copies_of_two_images_at_one_distance_are_in_order_of_rows():
    a, b = [0.6, 0.8], [0.6, -0.8]
    rows = np.array([b, [1, 0], a, b, a, a, b], np.float32)
    assert nearest(rows, 7).indices[1].tolist() == [1, 0, 2, 3, 4, 5, 6]
    assert nearest(rows, 4).indices[1].tolist() == [1, 0, 2, 3]
    assert nearest(rows, 5).indices[3].tolist() == [3, 0, 6, 1, 2]


def test_ties_that_overflow_the_margin_are_searched_again(make, twin, monkeypatch):
    # 120 rows at one cosine from the first: the search cannot know which of them come first.
    rng = np.random.default_rng(0)
    ring = rng.standard_normal((120, 6))
    rows = np.concatenate([[[1.0] + [0] * 6], np.c_[np.full(120, 0.6), 0.8 * make.unit(ring)]])
    rows = rows.astype(np.float32)
    again = []
    original = lists._search_again
    monkeypatch.setattr(
        lists, "_search_again", lambda *a: (again.append(len(a[1])), original(*a))[1]
    )
    np.testing.assert_array_equal(nearest(rows, 10).indices, twin.lists(rows, 10))
    assert 1 <= sum(again) < 30


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.astype(np.float64),
        lambda rows: np.asfortranarray(rows),
        lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
        lambda rows: rows.tolist(),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_other_layouts_are_converted(make, change, backend):
    rows = make.people(10, 5, 8, 0.5, 3)
    expected = nearest(rows, 7).indices
    np.testing.assert_array_equal(nearest(change(rows), 7, backend=backend).indices, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_read_only_rows_are_read(make, backend):
    rows = make.people(10, 5, 8, 0.5, 3)
    rows.flags.writeable = False
    assert nearest(rows, 3, backend=backend).indices.shape == (50, 3)


def test_half_precision_rows_count_as_unit_norm(make):
    assert nearest(make.people(20, 5, 64, 0.5, 3).astype(np.float16), 3).indices.shape == (100, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_not_finite_are_named(make, bad):
    rows = make.people(10, 5, 8, 0.5, 3)
    rows[[7, 9, 31], [0, 3, 7]] = bad
    with pytest.raises(FeatureError, match=r"3 of 50 .*NaN or infinity.*row 7\b"):
        nearest(rows, 3)


@pytest.mark.parametrize("scale", [0, 0.99, 2, 1e30])
def test_rows_not_of_unit_norm_are_named(make, scale):
    rows = make.people(10, 5, 8, 0.5, 3)
    rows[[11, 12]] *= scale
    with pytest.raises(FeatureError, match=r"2 of 50 .*unit norm.*row 11\b"):
        nearest(rows, 3)


@pytest.mark.parametrize(
    "rows",
    [np.zeros(5, np.float32), np.zeros((3, 0)), np.eye(3, dtype=int), np.eye(3, dtype=complex)],
)
def test_what_is_no_feature_matrix_is_refused(rows):
    with pytest.raises(FeatureError, match="expected"):
        nearest(rows, 1)


@pytest.mark.parametrize("k", [0, 51, -1, 2.5, True])
def test_k_out_of_range_is_refused(make, k):
    with pytest.raises(ConfigError, match="k is"):
        nearest(make.people(10, 5, 8, 0.5, 3), k)


def test_a_wrong_backend_is_refused(make):
    with pytest.raises(ConfigError, match="auto, faiss-flat, torch or ivf"):
        nearest(make.people(10, 5, 8, 0.5, 3), 3, backend="annoy")


def test_without_faiss_torch_is_used(make, monkeypatch):
    rows = make.people(10, 5, 8, 0.5, 3)
    expected = nearest(rows, 3, backend="faiss-flat").indices
    monkeypatch.setattr(search.importlib.util, "find_spec", lambda name: None)
    found = nearest(rows, 3)
    assert found.backend == "torch"
    np.testing.assert_array_equal(found.indices, expected)
    with pytest.raises(ConfigError, match=r"itkm\[cpu\]"):
        nearest(rows, 3, backend="faiss-flat")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_process_keeps_its_thread_settings(make, backend):
    import faiss
    import torch

    before = (
        faiss.omp_get_max_threads(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
    )
    torch.set_float32_matmul_precision("medium")
    try:
        nearest(make.people(10, 5, 8, 0.5, 3), 3, backend=backend, num_threads=1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before[2])
    assert (faiss.omp_get_max_threads(), torch.get_num_threads()) == before[:2]


def test_import_and_a_faiss_search_load_no_torch():
    code = (
        "import sys, numpy as np; from itkm_core.clustering import nearest;"
        "nearest(np.eye(3, dtype=np.float32), 2, backend='faiss-flat');"
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
