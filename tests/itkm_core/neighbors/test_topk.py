import numpy as np
import pytest

from itkm_core.neighbors.topk import Best


def slow(scores, width):
    """The best places by (score down, place up), and their scores, padded with -1 and -inf."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
    found = np.take_along_axis(scores, order, axis=1)
    pad = ((0, 0), (0, width - order.shape[1]))
    return np.pad(found, pad, constant_values=-np.inf), np.pad(order, pad, constant_values=-1)


@pytest.mark.parametrize("num_scores", [1, 5, 63, 64, 65, 700])
@pytest.mark.parametrize("width", [1, 5, 40])
@pytest.mark.parametrize("tile", [1, 64, 100, 1000])
def test_the_best_of_all_blocks_are_kept(num_scores, width, tile):
    # Distinct scores of both signs: there is one answer.
    scores = np.random.default_rng(num_scores).permuted(
        np.tile(np.linspace(-1, 1, num_scores, dtype=np.float32), (9, 1)), axis=1
    )
    best = Best(9, width)
    for first in range(0, num_scores, tile):
        best.offer(np.ascontiguousarray(scores[:, first : first + tile]), first)
    found, places = best.take()
    expected, order = slow(scores, width)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(places, order)


def test_equal_scores_lose_no_better_one():
    scores = np.repeat(np.array([0.5, -0.25, 0.75], np.float32), 200)[None]
    best = Best(1, 250)
    best.offer(scores, 10)
    found, places = best.take()
    assert (found[0, :200] == 0.75).all()
    assert (found[0, 200:] == 0.5).all()
    np.testing.assert_array_equal(scores[0, places[0] - 10], found[0])
    assert len(set(places[0].tolist())) == 250


def test_each_block_may_be_of_other_queries():
    scores = np.random.default_rng(0).standard_normal((6, 90)).astype(np.float32)
    best = Best(6, 4)
    for at in range(90):
        some = np.flatnonzero((np.arange(6) + at) % 3 > 0).astype(np.int32)
        best.offer(np.ascontiguousarray(scores[some, at : at + 1]), at, some)
    seen = np.where((np.arange(6)[:, None] + np.arange(90)) % 3 > 0, scores, -np.inf)
    found, places = best.take()
    expected, order = slow(seen, 4)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(places, order)


def test_padding_is_not_looked_at():
    scores = np.random.default_rng(0).standard_normal((5, 90)).astype(np.float32)
    padded = np.full((8, 128), 9, np.float32)
    padded[:5, :90] = scores
    best = Best(5, 4)
    best.offer(padded, 0, num_scores=90)
    found, places = best.take()
    expected, order = slow(scores, 4)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(places, order)
