"""Whether two thumbnails show one picture that was cropped, brightened or encoded again. [ours]

The one is laid over the other by Gauss-Newton steps (Lucas and Kanade, IJCAI 1981) along the five ways in which
such a picture may differ to first order: contrast, and shift and scale along each axis.

Suffixes: P pairs, H = 32, W = 16.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from itkm_core.corpus.checks.look import THUMB

Thumbs = NDArray[np.uint8]
Floats = NDArray[np.float32]

PAIRS_AT_ONCE = 256
STEPS = 4
MOST = 0.12
"""Of half the height or width, the most that a shift or a scaling may move: no more than a slight crop."""

_HEIGHT, _WIDTH = THUMB
_Y = np.linspace(-1, 1, _HEIGHT, dtype=np.float32)
_X = np.linspace(-1, 1, _WIDTH, dtype=np.float32)


def likeness(left: Thumbs, right: Thumbs) -> Floats:
    """How alike the thumbnails of each pair are, [P] from 0 to 1, for `left` and `right` [P, H, W].

    The squared correlation of the one with the other laid over it. Whichever way round fits better counts: of a
    picture and a crop of it, only the picture has everything that the other shows. 0 for one of a single colour.
    """
    found = np.empty(len(left), np.float32)
    for start in range(0, len(left), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        one, other = (_smooth(each[part].astype(np.float32)) for each in (left, right))
        found[part] = np.maximum(_laid_over(one, other), _laid_over(other, one))
    return found


def _laid_over(fixed: Floats, moved: Floats) -> Floats:
    num = len(fixed)
    places = np.zeros((num, 4), np.float32)
    target = _centred(fixed.reshape(num, -1))
    diagonal = np.arange(5)
    for _ in range(STEPS):
        there = _warped(moved, places)
        down = np.gradient(there, axis=1) * ((_HEIGHT - 1) / 2)
        across = np.gradient(there, axis=2) * ((_WIDTH - 1) / 2)
        ways = np.stack([there, _Y[:, None] * down, down, _X * across, across], axis=1)
        ways = _centred(ways.reshape(num, 5, -1))
        gram = ways @ ways.transpose(0, 2, 1)
        # Without a structure along an axis nothing says how far to move along it: not at all, then.
        gram[:, diagonal, diagonal] = gram[:, diagonal, diagonal] * 1.001 + 1e-3
        fit = np.linalg.solve(gram, ways @ target[:, :, None])[:, :, 0]
        contrast = np.where(fit[:, :1] > 0.1, fit[:, :1], np.inf)
        places = np.clip(places + fit[:, 1:] / contrast, -MOST, MOST)
    return _correlation(target, _centred(_warped(moved, places).reshape(num, -1)))


def _warped(pictures: Floats, places: Floats) -> Floats:
    """Pictures [P, H, W] moved, linear between pixels, by places [P, 4]: scale and shift down, then across."""
    down = ((1 + places[:, 0:1]) * _Y + places[:, 1:2] + 1) * ((_HEIGHT - 1) / 2)
    across = ((1 + places[:, 2:3]) * _X + places[:, 3:4] + 1) * ((_WIDTH - 1) / 2)
    columns = _weights(down, _HEIGHT) @ pictures
    return np.asarray(columns @ _weights(across, _WIDTH).transpose(0, 2, 1), np.float32)


def _weights(at: Floats, size: int) -> Floats:
    """[P, M, size]: how much each pixel counts at the places `at` [P, M]; beyond the border, it goes on."""
    away = np.abs(np.clip(at, 0, size - 1)[:, :, None] - np.arange(size, dtype=np.float32))
    return np.maximum(0, 1 - away)


def _smooth(pictures: Floats) -> Floats:
    """Binomial, of 3 pixels: a shift of one pixel is then small enough for first order, and noise counts less."""
    tall = np.pad(pictures, ((0, 0), (1, 1), (0, 0)), mode="edge")
    wide = np.pad(
        tall[:, :-2] + 2 * tall[:, 1:-1] + tall[:, 2:], ((0, 0), (0, 0), (1, 1)), mode="edge"
    )
    smooth: Floats = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:]) / np.float32(16)
    return smooth


def _centred(rows: Floats) -> Floats:
    centred: Floats = rows - rows.mean(-1, keepdims=True)
    return centred


def _correlation(left: Floats, right: Floats) -> Floats:
    """Squared, of centred rows; 0 if it is negative."""
    both = np.maximum((left * right).sum(1), 0)
    return both * both / np.maximum((left * left).sum(1) * (right * right).sum(1), 1e-6)
