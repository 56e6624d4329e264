"""What is read off one query's scores of the whole gallery, without sorting them. [ours]

`row` float32 [G]: the scores, -inf for what is left out. Answers are ordered by (score down, gallery row up). Scores
are compared with the least that matters 64 at a time, and few pass.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import IntArray
from itkm_core.neighbors.kernels import Array, kernel

_STEP = 64  # a fixed length and no branch: compiled to vector code


def match_ranks(row: npt.NDArray[np.float32], matches: IntArray) -> IntArray:
    """1-based ranks int64 [P], of the gallery rows `matches` int64 [P], ascending and not left out; P >= 1."""
    order = np.argsort(-row[matches], kind="stable")
    in_order = matches[order]
    ahead = np.zeros(len(matches), np.int64)
    _count_ahead(row, row[in_order], in_order, ahead)
    return 1 + np.cumsum(ahead)


@kernel
def _count_ahead(row: Array, scores: Array, places: Array, ahead: Array) -> None:
    """Adds to `ahead` int64 [P] how many images come before each match and after the one before it, matches included.

    `scores`, `places`: of the matches, in order of their ranks.
    """
    least = scores[-1]
    for start in range(0, row.size, _STEP):
        stop = min(start + _STEP, row.size)
        if stop - start == _STEP:
            block = row[start:stop]
            reached = 0
            for at in range(_STEP):
                reached += block[at] >= least
            if reached == 0:
                continue
        for at in range(start, stop):
            score = row[at]
            if score >= least:
                low = 0
                high = places.size
                while low < high:  # the first match that comes after this image
                    middle = (low + high) // 2
                    if scores[middle] < score or (scores[middle] == score and places[middle] > at):
                        high = middle
                    else:
                        low = middle + 1
                if low < places.size:
                    ahead[low] += 1


@kernel
def best_answers(row: Array, answers: Array, scores: Array) -> int:
    """Fill `answers` int32 [n] and `scores` float32 [n], n >= 1, best first; returns how many there are."""
    count = 0
    least = np.float32(-np.inf)
    for start in range(0, row.size, _STEP):
        stop = min(start + _STEP, row.size)
        if stop - start == _STEP:
            block = row[start:stop]
            above = 0
            for at in range(_STEP):
                above += block[at] > least
            if above == 0:
                continue
        for at in range(start, stop):
            score = row[at]
            if score > least:  # as good as the last answer: the lower row stays
                place = min(count, answers.size - 1)
                while place > 0 and scores[place - 1] < score:
                    scores[place] = scores[place - 1]
                    answers[place] = answers[place - 1]
                    place -= 1
                scores[place] = score
                answers[place] = at
                count = min(count + 1, answers.size)
                if count == answers.size:
                    least = scores[count - 1]
    return count


@kernel
def count_scores(row: Array, steps: int, counts: Array) -> None:
    """Add the scores that are not left out to `counts`: bin b holds those from b / steps - 1 on.

    The first and the last bin also hold what is beyond them.
    """
    for score in row:
        if score > -np.inf:
            place = np.int64(np.floor((np.float64(score) + 1.0) * steps))
            if place < 0:
                place = np.int64(0)
            elif place >= counts.size:
                place = np.int64(counts.size - 1)
            counts[place] += 1
