from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from itkm_core.corpus.checks import alike
from itkm_core.corpus.checks.alike import COARSE, FINE, pairs_across, pairs_within, vectors
from itkm_core.corpus.checks.likeness import likeness


def crowd(num: int, seed: int = 0) -> np.ndarray:
    """uint8 [num, 32, 16]: smooth pictures, every third nearly that before it."""
    rng = np.random.default_rng(seed)
    pictures = gaussian_filter(rng.standard_normal((num, 32, 16)), (0, 3, 2)) * 400
    for row in range(2, num, 3):
        pictures[row] = 0.8 * pictures[row - 1] + rng.normal(0, 2, (32, 16))
    return np.clip(pictures + 128, 0, 255).astype(np.uint8)


def naive_pairs(left: np.ndarray, right: np.ndarray) -> dict[tuple[int, int], float]:
    """Every pair, one after the other."""
    cosine = vectors(left) @ vectors(right).T
    found = {}
    for a, b in zip(*np.nonzero(cosine >= COARSE), strict=True):
        alike = float(likeness(left[a : a + 1], right[b : b + 1])[0])
        if alike >= FINE:
            found[int(a), int(b)] = alike
    return found


def as_dict(pairs: alike.Pairs) -> dict[tuple[int, int], float]:
    rows = [part.tolist() for part in (pairs.left, pairs.right, pairs.likeness)]
    return {(a, b): value for a, b, value in zip(*rows, strict=True)}


def close(found: dict, expected: dict) -> None:
    assert list(found) == sorted(expected)
    assert all(abs(found[pair] - expected[pair]) < 1e-5 for pair in expected)


def test_vectors_ignore_brightness_and_contrast_and_are_zero_for_one_colour() -> None:
    pictures = crowd(4) // 2
    rows = vectors(pictures)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors(pictures + 100), rows, atol=1e-6)
    assert not vectors(np.full((2, 32, 16), 7, np.uint8)).any()


def test_pairs_within_are_those_of_a_search_of_all(monkeypatch) -> None:
    monkeypatch.setattr(alike, "PAIRS_AT_ONCE", 5)
    pictures, told = crowd(40), []
    unknown = np.full(40, -1)
    found = pairs_within(vectors(pictures), pictures, lambda *each: told.append(each), unknown)
    every = naive_pairs(pictures, pictures)
    close(as_dict(found), {pair: v for pair, v in every.items() if pair[0] > pair[1]})
    assert {(row, row - 1) for row in range(2, 40, 3)} <= set(as_dict(found))
    assert told[-1][0] == told[-1][1] > 0


def test_pictures_of_one_tracklet_are_not_compared() -> None:
    pictures = crowd(12)
    tracklet = np.array([0, 5, 5, 1, 6, 7, -1, -1, -1, 2, 8, 8])
    found = pairs_within(vectors(pictures), pictures, lambda done, all: None, tracklet)
    assert set(as_dict(found)) == {(5, 4), (8, 7)}


def test_pairs_across_are_those_of_a_search_of_all() -> None:
    pictures = crowd(40)
    test, train = pictures[[2, 8, 9, 11, 20]], pictures[[1, 3, 7, 10, 15, 19]]
    found = pairs_across(vectors(test), test, vectors(train), train, lambda done, all: None)
    close(as_dict(found), naive_pairs(test, train))
    assert len(found.left) == 4


def test_nobody_is_like_nobody() -> None:
    none, one = crowd(3)[:0], crowd(3)[:1]
    nowhere = (vectors(none), none)
    for found in (
        pairs_within(*nowhere, lambda done, all: None, np.empty(0, np.int64)),
        pairs_within(vectors(one), one, lambda done, all: None, np.array([-1])),
        pairs_across(*nowhere, vectors(one), one, lambda done, all: None),
        pairs_across(vectors(one), one, *nowhere, lambda done, all: None),
    ):
        assert not len(found.left)
