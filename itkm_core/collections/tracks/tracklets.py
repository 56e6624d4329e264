"""From a tracker's ids to tracklets: one person's boxes without a long gap in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tracklets:
    """of: int64 [N], the tracklet of each box, 0..T-1 in order of first frame, then id.

    id, first, last: int64 [T], the tracker's id and the first and last frame of each.
    """

    of: np.ndarray
    id: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.id)


def split_ids(frame: np.ndarray, ids: np.ndarray, max_gap: int) -> Tracklets:
    """An id that comes back more than `max_gap` frames after it was last seen begins a new tracklet.

    frame, ids: int64 [N], in any order. Trackers number on from 1 in the next video, and some give the number of who
    left to who comes.
    """
    order = np.lexsort((frame, ids))
    begins = np.ones(len(order), bool)
    begins[1:] = (np.diff(ids[order]) != 0) | (np.diff(frame[order]) > max_gap)
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(order)) - 1
    first, last, own = frame[order][starts], frame[order][ends], ids[order][starts]
    ranked = np.lexsort((own, first))
    rank = np.empty(len(ranked), np.int64)
    rank[ranked] = np.arange(len(ranked))
    of = np.empty(len(order), np.int64)
    of[order] = rank[np.cumsum(begins) - 1]
    return Tracklets(of, own[ranked], first[ranked], last[ranked])
