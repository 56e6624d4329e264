import numpy as np
import pytest

from itkm_core.clustering import nearest
from itkm_core.neighbors import inverted
from itkm_core.neighbors.inverted import make_inverted_file, probes_for, search_inverted_file
from itkm_core.neighbors.workers import Threads


@pytest.fixture
def rows(make):
    return make.people(120, 12, 16, 0.3, 5)


def searched(queries, file, probes, width, threads=1):
    blocks = search_inverted_file(queries, file, probes, width, threads, lambda *found: found)
    blocks.sort(key=lambda block: block[0])
    return np.concatenate([b[1] for b in blocks]), np.concatenate([b[2] for b in blocks])


def slow_search(queries, file, probes, width):
    """Row by row: the lists nearest to it, all their rows, sorted."""
    scores, found = [], []
    for query in queries:
        lists = np.argsort(-(file.centroids @ query), kind="stable")[:probes]
        places = file.lists.places(np.array(lists)).indices
        cosines = file.rows[places] @ query
        order = np.argsort(-cosines, kind="stable")[:width]
        pad = (0, width - len(order))
        scores.append(np.pad(cosines[order], pad, constant_values=-np.inf))
        found.append(np.pad(file.lists.indices[places[order]], pad, constant_values=-1))
    return np.array(scores), np.array(found)


def test_lists_hold_every_row_once_beside_its_nearest_centroid(rows):
    file = make_inverted_file(rows, Threads(1), 40)
    np.testing.assert_array_equal(np.sort(file.lists.indices), np.arange(len(rows)))
    np.testing.assert_array_equal(file.rows, rows[file.lists.indices])
    of_row = file.lists.rows
    np.testing.assert_array_equal(of_row, (file.rows @ file.centroids.T).argmax(axis=1))
    np.testing.assert_allclose(np.linalg.norm(file.centroids, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("probes", [1, 3, 40])
def test_a_search_is_the_slow_one(rows, probes, monkeypatch):
    monkeypatch.setattr(inverted, "TOGETHER", 400)
    monkeypatch.setattr(inverted, "AT_A_LIST", 7)
    monkeypatch.setattr(inverted, "TILE_ROWS", 30)
    file = make_inverted_file(rows, Threads(1), 40)
    scores, found = searched(rows[::2], file, probes, 60)
    expected_scores, expected = slow_search(rows[::2], file, probes, 60)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    # Rows whose cosines round differently may change places.
    assert (found == expected).mean() > 0.99
    np.testing.assert_array_equal(found < 0, expected < 0)


def test_threads_change_nothing(rows, monkeypatch):
    monkeypatch.setattr(inverted, "TOGETHER", 100)
    monkeypatch.setattr(inverted, "BLOCK_QUERIES", 64)
    one, three = make_inverted_file(rows, Threads(1)), make_inverted_file(rows, Threads(3))
    arrays = [(file.centroids, file.rows, *file.lists) for file in (one, three)]
    for first, second in zip(*arrays, strict=True):
        np.testing.assert_array_equal(first, second)
    for first, second in zip(
        searched(rows, one, 5, 20), searched(rows, three, 5, 20, threads=3), strict=True
    ):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("recall", [0.5, 0.9, 0.99, 1.0])
def test_the_probes_are_the_fewest_of_that_recall(rows, recall):
    file, queries = make_inverted_file(rows, Threads(1)), rows[::7]
    known = nearest(rows, 10, backend="torch").indices[::7, 1:]
    probes, measured = probes_for(file, queries, known, recall)

    def reached(number):
        _, found = slow_search(queries, file, number, len(rows))
        return np.mean([np.isin(row, seen).mean() for row, seen in zip(known, found, strict=True)])

    assert measured == pytest.approx(reached(probes))
    assert measured >= recall
    if probes > 1:
        assert reached(probes - 1) < recall


def test_the_approximate_backend_reaches_its_recall_and_says_so(make, rows):
    exact = nearest(rows, 12, backend="torch")
    found = nearest(rows, 12, backend="ivf", recall=0.9)
    assert (found.backend, exact.recall) == ("ivf", 1.0)
    assert 0.9 <= found.recall <= 1
    share = np.mean(
        [
            np.isin(known[1:], seen).mean()
            for known, seen in zip(exact.indices, found.indices, strict=True)
        ]
    )
    assert share == pytest.approx(found.recall, abs=0.02)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(len(rows)))


def test_full_recall_is_the_exact_search(rows):
    exact, found = (nearest(rows, 12, backend=b, recall=1.0) for b in ("torch", "ivf"))
    np.testing.assert_array_equal(found.indices, exact.indices)
    np.testing.assert_array_equal(found.similarities, exact.similarities)


@pytest.mark.parametrize("k", [2, 5, 10, 30])
def test_lists_shorter_than_k_are_filled_up(make, k):
    # A hundred rows far from each other, the last of which is near all: most lists hold one or two.
    rows = np.random.default_rng(0).standard_normal((100, 64))
    rows[-1] = rows[:-1].sum(axis=0)
    found = nearest(make.unit(rows), k, backend="ivf", recall=0.05)
    for row, listed in enumerate(found.indices):
        assert len(set(listed.tolist())) == k
        assert listed[0] == row
        assert listed.min() >= 0
        assert (np.diff(found.similarities[row]) <= 0).all()


@pytest.mark.parametrize("num", [1, 2, 3])
def test_few_rows(make, num):
    rows = make.unit(np.random.default_rng(0).standard_normal((num, 4)))
    np.testing.assert_array_equal(
        nearest(rows, num, backend="ivf").indices, nearest(rows, num, backend="torch").indices
    )
