import numpy as np
import pytest

from itkm_core.clustering.encoding import encode
from itkm_core.clustering.jaccard import TIE_TOLERANCE, graph_of
from itkm_core.neighbors import kernels, reciprocal
from itkm_core.neighbors.csr import Csr, row_starts
from itkm_core.neighbors.sparse_rows import SparseRows
from itkm_core.neighbors.workers import Threads


def dense(rows):
    """A SparseRows as an array [N, N]; checks that columns ascend."""
    array = np.zeros((len(rows), len(rows)))
    start, columns = rows.columns
    for i in range(len(rows)):
        span = slice(start[i], start[i + 1])
        assert (np.diff(columns[span]) > 0).all()
        array[i, columns[span]] = rows.values[span]
    if rows.order is None:
        return array
    images = np.zeros_like(array)
    images[np.ix_(rows.order, rows.order)] = array
    return images


def sparse(array):
    array = np.asarray(array, np.float64)
    columns = np.nonzero(array)[1].astype(np.int32)
    return SparseRows(Csr(row_starts((array > 0).sum(axis=1)), columns), array[array > 0])


def dense_distances(graph):
    """[N, N] distances between images, NaN where the graph holds none and on the diagonal."""
    types = np.full((len(graph.within), len(graph.within)), np.nan)
    for t in range(len(types)):
        span = slice(graph.pairs.indptr[t], graph.pairs.indptr[t + 1])
        assert (np.diff(graph.pairs.row(t)) > 0).all()
        types[t, graph.pairs.row(t)] = graph.distances[span]
    np.testing.assert_array_equal(types, types.T)
    assert np.isnan(np.diag(types)).all()
    np.fill_diagonal(types, graph.within)
    images = types[graph.types.group][:, graph.types.group]
    np.fill_diagonal(images, np.nan)
    return np.where(images <= graph.max_distance + TIE_TOLERANCE, images, np.nan)


def check_graph(graph, distances):
    expected = np.where(distances <= graph.max_distance + TIE_TOLERANCE, distances, np.nan)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(dense_distances(graph), expected, atol=1e-12)


SIZES = [(1, 1), (2, 1), (2, 2), (3, 2), (5, 5), (7, 3), (10, 4), (21, 6), (30, 6)]


@pytest.mark.parametrize(("k1", "k2"), SIZES)
@pytest.mark.parametrize(
    "name",
    ["random", "copies of every image", "copies of one image", "coarse grid", "two dimensions"],
)
def test_encoding_and_graph_are_the_twins(make, twin, name, k1, k2):
    rows = make.awkward[name]
    v = twin.encoding(rows, k1, k2)
    found = encode(rows, twin.lists(rows, k1), k2, Threads(2))
    np.testing.assert_allclose(dense(found), v, atol=1e-14)
    np.testing.assert_allclose(found.values.sum(), len(rows))
    for max_distance in (0.3, 0.6, 0.95):
        check_graph(graph_of(found, max_distance, Threads(2)), twin.distances(v))


def test_half_of_k1_rounds_half_to_even(make, twin, monkeypatch):
    # k1 = 5: h = 2. Rounding up to 3 would give other rows.
    rows = make.people(12, 8, 6, 0.8, 3)
    expected = twin.encoding(rows, 5, 1)
    np.testing.assert_allclose(
        dense(encode(rows, twin.lists(rows, 5), 1, Threads(1))), expected, atol=1e-14
    )
    monkeypatch.setattr(reciprocal, "round", lambda x: int(x + 0.5), raising=False)
    assert not np.allclose(
        dense(encode(rows, twin.lists(rows, 5), 1, Threads(1))), expected, atol=1e-3
    )


def test_blocks_and_threads_change_no_bit(make, twin, monkeypatch):
    rows = make.people(30, 10, 8, 0.8, 4)
    ranked = twin.lists(rows, 12)
    results = []
    for block, threads in ((10_000, 1), (37, 1), (64, 3), (1, 2)):
        monkeypatch.setattr(kernels, "scratch_block", lambda n, block=block: block)
        graph = graph_of(encode(rows, ranked, 4, Threads(threads)), 0.6, Threads(threads))
        results.append((*graph.pairs, graph.distances))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_room_for_sets_and_pairs_grows(twin):
    # A complete graph of 300 rows, many more pairs than the kernel first makes room for.
    rng = np.random.default_rng(0)
    v = rng.random((300, 12)) + 1
    v = np.pad(v / v.sum(axis=1, keepdims=True), ((0, 0), (0, 288)))
    graph = graph_of(sparse(v), 0.95, Threads(1))
    assert len(graph.pairs.indices) == 300 * 299
    check_graph(graph, twin.distances(v))


def test_distances_of_exactly_one_half_are_within_one_half():
    # Thirds do not add up to 2/3 in every order; the distance is 1/2 all the same.
    v = np.zeros((6, 6))
    v[0, [0, 1, 2]] = v[1, [1, 2, 3]] = v[2, [0, 2, 3]] = 1 / 3
    v[3:, 3:] = np.eye(3)
    assert np.isfinite(dense_distances(graph_of(sparse(v), 0.5, Threads(1)))[:3, :3]).sum() == 6
    assert np.isfinite(dense_distances(graph_of(sparse(v), 0.49999, Threads(1)))).sum() == 0


def test_copies_beyond_the_lists_are_one_type(make, twin):
    rows = np.repeat(make.people(1, 1, 8, 0, 0), 4000, axis=0)
    ranked = np.tile(np.arange(10, dtype=np.int32), (4000, 1))
    for i in range(4000):
        ranked[i] = [i, *[j for j in range(10) if j != i][:9]]
    graph = graph_of(encode(rows, ranked, 4, Threads(1)), 0.6, Threads(1))
    assert len(graph.within) == 2
    assert len(graph.pairs.indices) == 2
    # The tail has 1/4 of its weight on itself and 3/4 on the ten that all lists hold.
    np.testing.assert_allclose(graph.within[graph.types.group[-1]], 1 - 0.75 / 1.25)
