"""A tracker's file with pseudo-identities in place of its ids, as MOTChallenge text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from itkm_core.collections.tracks.boxes import Boxes
from itkm_core.errors import CorpusError
from itkm_core.neighbors.groups import number_groups

Ints = npt.NDArray[np.int64]


def tracklets_of(boxes: Boxes, tracks: pa.Table) -> Ints:
    """The row of `tracks` that each box is of: int64 [N]. tracks: TRACKS_SCHEMA, those of one file.

    Raises:
        CorpusError: a box is of none.
    """
    ids, first, last = (tracks[name].to_numpy() for name in ("id", "first_frame", "last_frame"))
    num = len(ids)
    every_id, every_frame = np.concatenate([ids, boxes.id]), np.concatenate([first, boxes.frame])
    is_box = np.arange(len(every_id)) >= num
    order = np.lexsort((is_box, every_frame, every_id))
    # Each box comes after the tracklets of its id that began by then; the last of them is its own.
    begun = np.maximum.accumulate(np.where(is_box[order], -1, np.arange(len(order))))
    found = np.empty(len(order), np.int64)
    found[order] = np.where(begun < 0, -1, order[begun])
    rows = found[num:]
    fits = (rows >= 0) & (ids[rows] == boxes.id) & (boxes.frame <= last[rows])
    if not fits.all():
        line = int(boxes.line[np.argmin(fits)])
        raise CorpusError(
            f"{tracks['tracks'][0]}: line {line} is of no tracklet of the corpus: ingest it again"
        )
    return rows


def apart(frame: Ints, row: Ints, identity: Ints, rank: Ints) -> Ints:
    """Rows of tracklets that must not have their identity, since another one with it is in the same frame.

    frame, row: int64 [N], of each box. identity, rank: int64 [T], of each tracklet; identity below 1: none. Of two with
    a frame in common, the one of lower rank keeps the identity. Returns int64 [D], ascending.
    """
    known = identity[row] > 0
    frame, row = frame[known], row[known]
    moment, first = number_groups(identity[row], frame)
    shared = np.unique(identity[row[first[np.bincount(moment) > 1]]])
    leaving: list[int] = []
    for one in shared:
        boxes = identity[row] == one
        rows = np.unique(row[boxes])
        taken = np.zeros(0, np.int64)
        for each in rows[np.argsort(rank[rows], kind="stable")]:
            own = frame[row == each]
            if np.isin(own, taken).any():
                leaving.append(int(each))
            else:
                taken = np.concatenate([taken, own])
    return np.array(sorted(leaving), np.int64)


def mot_text(boxes: Boxes, identity: Ints) -> str:
    """The boxes as MOTChallenge text, by frame and identity: frame, id, left, top, width, height, conf, -1, -1, -1.

    identity: int64 [N], of each box.
    """
    lines = []
    for row in np.lexsort((identity, boxes.frame)):
        numbers = ",".join(f"{value:.10g}" for value in (*boxes.box[row], boxes.conf[row]))
        lines.append(f"{boxes.frame[row]},{identity[row]},{numbers},-1,-1,-1\n")
    return "".join(lines)
