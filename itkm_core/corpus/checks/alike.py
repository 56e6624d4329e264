"""Which pictures are nearly copies of others: a search of coarse vectors, and a closer look at what it finds. [ours]

Suffixes: N pictures, P pairs, D = 63 numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from itkm_core.corpus.checks.likeness import likeness
from itkm_core.neighbors.kernels import map_blocks, thread_count
from itkm_core.neighbors.nearest import nearest, nearest_across

Thumbs = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Report = Callable[[int, int], None]
"""Called with (pairs looked at, pairs in all)."""

FREQUENCIES = (8, 8)
"""Of a thumbnail's cosine transform, so many of the lowest down and across make its vector."""

NEAREST = 4
"""Pictures that each one is compared with, in its own split and in the other."""

COARSE, FINE = 0.87, 0.97
"""The least cosine of two vectors, and then the least `likeness`, of near copies. benchmarks/checking.py has what they
find and what they let pass, and why not lower: two made-up people before one background reach a likeness of 0.96."""

PAIRS_AT_ONCE = 4096


class Pairs(NamedTuple):
    """Near copies: rows `left` and `right`, int64 [P], and their `likeness`, float32 [P]."""

    left: Ints
    right: Ints
    likeness: Floats


def vectors(thumbs: Thumbs) -> Floats:
    """Unit rows float32 [N, D] of thumbnails [N, 32, 16]: their lowest frequencies without the mean, so that neither
    brightness nor contrast count. A row of zeros where there is nothing but the mean, and what rounding leaves."""
    down, across = FREQUENCIES
    found = np.empty((len(thumbs), down * across - 1), np.float32)
    for start in range(0, len(thumbs), PAIRS_AT_ONCE):
        part = thumbs[start : start + PAIRS_AT_ONCE].astype(np.float32)
        waves = dctn(part, axes=(1, 2), norm="ortho")[:, :down, :across]
        found[start : start + len(part)] = waves.reshape(len(part), -1)[:, 1:]
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, norms, out=np.zeros_like(found), where=norms >= 1)


def pairs_within(rows: Floats, thumbs: Thumbs, report: Report, tracklet: Ints) -> Pairs:
    """The near copies among N pictures, `left` > `right`, each pair once, sorted.

    rows: their `vectors`, none of them zero. thumbs: [N, 32, 16]. tracklet: int64 [N], or -1; pictures of one tracklet
    are alike by nature, and are not compared.
    """
    if len(rows) < 2:
        return _none()
    near = nearest(rows, min(len(rows), NEAREST + 1))
    this = np.repeat(np.arange(len(rows)), near.indices.shape[1] - 1)
    that = near.indices[:, 1:].ravel().astype(np.int64)
    kept = near.similarities[:, 1:].ravel() >= COARSE
    kept &= (tracklet[this] != tracklet[that]) | (tracklet[this] < 0)
    both = np.stack([np.maximum(this, that), np.minimum(this, that)], axis=1)[kept]
    left, right = np.unique(both, axis=0).T
    return _closer(thumbs, thumbs, left, right, report)


def pairs_across(
    rows: Floats, thumbs: Thumbs, other_rows: Floats, other_thumbs: Thumbs, report: Report
) -> Pairs:
    """The near copies of pictures (`left`) among others (`right`), sorted; both as `pairs_within` takes them."""
    if not len(rows) or not len(other_rows):
        return _none()
    near = nearest_across(rows, other_rows, min(len(other_rows), NEAREST))
    kept = near.similarities >= COARSE
    left, at = np.nonzero(kept)
    right = near.indices[left, at].astype(np.int64)
    order = np.lexsort((right, left))
    return _closer(thumbs, other_thumbs, left[order], right[order], report)


def _closer(thumbs: Thumbs, other_thumbs: Thumbs, left: Ints, right: Ints, report: Report) -> Pairs:
    done = 0

    def block(start: int, stop: int) -> Floats:
        nonlocal done
        part = slice(start, stop)
        alike = likeness(thumbs[left[part]], other_thumbs[right[part]])
        done += stop - start
        report(done, len(left))
        return alike

    blocks = map_blocks(block, len(left), PAIRS_AT_ONCE, thread_count())
    report(len(left), len(left))  # threads may have counted at once
    alike = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    kept = alike >= FINE
    return Pairs(left[kept], right[kept], alike[kept])


def _none() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
