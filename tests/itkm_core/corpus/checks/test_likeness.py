from __future__ import annotations

import itertools

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from itkm_core.corpus.checks import likeness as module
from itkm_core.corpus.checks.likeness import likeness

MOVES = (-0.06, 0.0, 0.06)


def drawn(num: int, seed: int = 0) -> np.ndarray:
    """uint8 [num, 32, 16]: smooth random pictures."""
    noise = np.random.default_rng(seed).standard_normal((num, 32, 16))
    smooth = gaussian_filter(noise, (0, 2, 2))
    return np.clip(128 + 60 * smooth / smooth.std((1, 2), keepdims=True), 0, 255).astype(np.uint8)


def moved(
    picture: np.ndarray, down: tuple[float, float], across: tuple[float, float]
) -> np.ndarray:
    """Scaled and shifted, as shares of half the picture."""
    y, x = (np.linspace(-1, 1, size) for size in picture.shape)
    rows = ((1 + down[0]) * y + down[1] + 1) / 2 * (len(y) - 1)
    columns = ((1 + across[0]) * x + across[1] + 1) / 2 * (len(x) - 1)
    at = np.meshgrid(rows, columns, indexing="ij")
    return map_coordinates(picture.astype(float), at, order=1, mode="nearest")


def blurred(picture: np.ndarray) -> np.ndarray:
    found = np.pad(picture.astype(float), 1, mode="edge")
    down = found[:-2] + 2 * found[1:-1] + found[2:]
    return (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 16


def naive_likeness(left: np.ndarray, right: np.ndarray) -> float:
    """The largest squared correlation over a grid of moves of the one or the other."""
    best = 0.0
    for fixed, other in ((left, right), (right, left)):
        for a, b, c, d in itertools.product(MOVES, repeat=4):
            there = moved(blurred(other), (a, b), (c, d))
            r = np.corrcoef(blurred(fixed).ravel(), there.ravel())[0, 1]
            best = max(best, max(r, 0.0) ** 2)
    return float(best)


def test_it_finds_at_least_what_a_search_of_all_moves_finds_in_a_moved_picture() -> None:
    pictures = drawn(3)
    changed = np.stack(
        [
            moved(pictures[0], (-0.06, 0.03), (-0.05, -0.05)) * 0.7,
            moved(pictures[1], (-0.05, 0.05), (0.0, 0.0)) + 10,
            moved(pictures[2], (0.02, 0.08), (-0.08, 0.1)) * 1.2 - 30,
        ]
    )
    changed = np.clip(np.round(changed), 0, 255).astype(np.uint8)
    found = likeness(pictures, changed)
    naive = [naive_likeness(*pair) for pair in zip(pictures, changed, strict=True)]
    assert (found >= np.array(naive) - 0.01).all()
    assert found.min() > 0.97
    unmoved = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] ** 2 for a, b in zip(pictures, changed, strict=True)
    ]
    assert max(unmoved) < 0.9


def test_other_pictures_stay_others() -> None:
    assert likeness(drawn(300), drawn(300, seed=1)).max() < 0.8


def test_the_negative_and_a_picture_of_one_colour_are_not_alike() -> None:
    pictures = drawn(2)
    assert (likeness(pictures, 255 - pictures) < 0.3).all()
    flat = np.full_like(pictures, 90)
    assert (likeness(pictures, flat) == 0).all()
    assert (likeness(flat, flat) == 0).all()


def test_a_pair_does_not_depend_on_the_others_or_on_its_order(monkeypatch) -> None:
    left, right = drawn(11), drawn(11, seed=3)
    right[::2] = left[::2]
    whole = likeness(left, right)
    np.testing.assert_allclose(whole[::2], 1, atol=1e-4)
    np.testing.assert_allclose(likeness(right, left), whole, atol=1e-5)
    monkeypatch.setattr(module, "PAIRS_AT_ONCE", 4)
    np.testing.assert_allclose(likeness(left, right), whole, atol=1e-5)
    order = np.random.default_rng(0).permutation(11)
    np.testing.assert_allclose(likeness(left[order], right[order]), whole[order], atol=1e-5)
    assert likeness(left[:0], right[:0]).shape == (0,)
