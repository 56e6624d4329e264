"""Which of a tracklet's boxes become crops [ours].

Tracklets of one camera that share a frame are two people, and what is learnt of that comes from the crops alone. So all
tracklets take their crops from one grid of frames, and two that were seen together keep a frame in common.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def every_nth(frame: np.ndarray, every: int) -> np.ndarray:
    """bool [N]: the boxes on every n-th of the frames that have boxes. frame: int64 [N]."""
    return _ranks(frame) % every == 0


def at_most(frame: np.ndarray, tracklet: np.ndarray, most: int) -> np.ndarray:
    """bool [N]: at most `most` boxes of each tracklet, spread evenly, and those that keep a frame in common.

    A tracklet takes every 2^s-th of the frames that have boxes, with the smallest s that leaves it at most `most`. A
    short tracklet beside a long one may fall between the long one's frames: of the frames that both have, the one
    on the coarsest grid is then added to both, over and above `most`.

    frame, tracklet: int64 [N]; no tracklet has a frame twice.
    """
    rank = _ranks(frame)
    level = np.where(rank == 0, 62, np.log2(np.maximum(rank & -rank, 1)).astype(np.int64))
    chosen = np.zeros(len(frame), bool)
    order = np.lexsort((frame, -level, tracklet))  # of each tracklet the coarsest grid first
    starts = np.flatnonzero(np.diff(tracklet[order], prepend=-1))
    for start, stop in zip(starts, np.append(starts[1:], len(order)), strict=True):
        rows, number = order[start:stop], stop - start
        if number > most:  # whole levels, or else the first box of the coarsest
            number = max(1, np.searchsorted(-level[rows], -level[rows[most]]))
        chosen[rows[:number]] = True
    return _with_frames_in_common(rank, tracklet, level, chosen)


def _ranks(frame: np.ndarray) -> np.ndarray:
    """The place of each frame among those there are: trackers that skip frames would miss a grid of numbers."""
    return np.unique(frame, return_inverse=True)[1]


def _with_frames_in_common(
    rank: np.ndarray, tracklet: np.ndarray, level: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    together, kept = _pairs(rank, tracklet), _pairs(rank[chosen], tracklet[chosen], tracklet.max())
    missing = together - together.multiply(kept)
    missing.eliminate_zeros()
    order = np.lexsort((rank, tracklet))
    bounds = np.searchsorted(tracklet[order], np.arange(tracklet.max() + 2))
    chosen = chosen.copy()
    for a, b in zip(*sparse.triu(missing, k=1).tocsr().nonzero(), strict=True):
        mine, theirs = order[bounds[a] : bounds[a + 1]], order[bounds[b] : bounds[b + 1]]
        _, at, there = np.intersect1d(
            rank[mine], rank[theirs], assume_unique=True, return_indices=True
        )
        mine, theirs = mine[at], theirs[there]
        taken = chosen[mine].astype(np.int64) + chosen[theirs]
        if not (taken == 2).any():  # an earlier pair may have brought a frame for this one
            best = np.lexsort((-level[mine], -taken))[0]
            chosen[mine[best]] = chosen[theirs[best]] = True
    return chosen


def _pairs(rank: np.ndarray, tracklet: np.ndarray, last: int | None = None) -> sparse.csr_array:
    """bool [T, T]: which tracklets have a frame in common."""
    shape = ((tracklet.max() if last is None else last) + 1, rank.max() + 1)
    ones = np.ones(len(rank), bool)
    seen = sparse.csr_array((ones, (tracklet, rank)), shape=shape)
    return (seen @ seen.T).astype(bool).astype(np.int8)
