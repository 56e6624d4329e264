"""What a tracker would make of a made-up video: which boxes it finds, and which it takes for one person. [ours]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SEEN = 0.4
"""A tracker finds people of whom at least this share is visible."""
_MEET = 0.3  # overlap, intersection over union, from which two tracks can be taken for each other
_LEAST = 3  # frames of a track before and after a break or a mistake


@dataclass(frozen=True)
class Boxes:
    """The boxes of one video, in order of frame. All arrays [n].

    Attributes:
        frame: int64, from 0.
        walk: int64, which walk through the view; a person who comes back has another.
        person: int64, who it is.
        box: float64 [n, 4], left, top, width, height in pixels from the frame's corner.
        visible: float64, the share that can be seen.
    """

    frame: NDArray[np.int64]
    walk: NDArray[np.int64]
    person: NDArray[np.int64]
    box: NDArray[np.float64]
    visible: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> Boxes:
        return Boxes(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


def track(boxes: Boxes, noise: float, rng: Generator) -> tuple[Boxes, NDArray[np.int64]]:
    """The boxes a tracker finds, and its id of each, int64 [n].

    Without noise a walk is one track, numbered from 1 by its first frame. With noise, a share of the
    tracks gets a new id where the person is least visible, and at a share of the meetings of two tracks
    each goes on with the other's id: an id then holds two people.

    Args:
        boxes: all that is in the video.
        noise: both shares, `VideoConfig.tracker_noise`.
        rng: decides which.
    """
    found = boxes.where(boxes.visible >= SEEN)
    _, first, walk = np.unique(found.walk, return_index=True, return_inverse=True)
    ranks = np.empty(len(first), np.int64)
    ranks[np.argsort(first, kind="stable")] = np.arange(1, len(first) + 1)
    ids = ranks[walk]
    rows = [np.flatnonzero(ids == number) for number in range(1, len(first) + 1)]
    mistakes: list[tuple[int, int, int]] = []  # frame, a track, and the other one or -1
    for a in range(len(rows)):
        inner = rows[a][_LEAST:-_LEAST]
        if rng.random() < noise and len(inner):
            # Equally hidden frames: any of them.
            hidden = found.visible[inner] + 1e-3 * rng.random(len(inner))
            mistakes.append((int(found.frame[inner[np.argmin(hidden)]]), a, -1))
    for frame, a, b in meetings(found, rows):
        if rng.random() < noise:
            mistakes.append((frame, a, b))
    new = len(rows)
    for frame, a, b in sorted(mistakes):
        after_a = rows[a][found.frame[rows[a]] >= frame]
        if b < 0:
            new += 1
            ids[after_a] = new
            continue
        after_b = rows[b][found.frame[rows[b]] >= frame]
        # Either may have got a new id since it was drawn.
        ids[after_a], ids[after_b] = ids[after_b[0]], ids[after_a[0]]
    return found, ids


def meetings(found: Boxes, rows: list[NDArray[np.int64]]) -> list[tuple[int, int, int]]:
    """(frame, a, b) of any two tracks a < b that overlap: the frame after they overlap most."""
    met = []
    for b in range(len(rows)):
        for a in range(b):
            if found.frame[rows[a][-1]] < found.frame[rows[b][0]]:
                continue
            frames, at_a, at_b = np.intersect1d(
                found.frame[rows[a]], found.frame[rows[b]], return_indices=True
            )
            if len(frames) == 0:
                continue
            overlap = _overlap(found.box[rows[a][at_a]], found.box[rows[b][at_b]])
            most = int(overlap.argmax())
            turn = int(frames[most]) + 1
            long = all(
                min((found.frame[r] < turn).sum(), (found.frame[r] >= turn).sum()) >= _LEAST
                for r in (rows[a], rows[b])
            )
            if overlap[most] >= _MEET and long:
                met.append((turn, a, b))
    return met


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n]: intersection over union of boxes [n, 4] (left, top, width, height)."""
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    both = np.clip(high - low, 0.0, None).prod(axis=1)
    return both / (a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - both)
