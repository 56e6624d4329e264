"""The images that each draw of a protocol takes: as published, or from a generator of its own."""

from __future__ import annotations

import numpy as np

from itkm_core.evaluation.arrays import IntArray
from itkm_core.evaluation.protocols.setting import Drawn, Tested
from itkm_core.neighbors.groups import number_groups

NUM_DRAWS = 10
DRAW_SEED = 0
"""Of the draws that nobody published: they are the same in every run of a corpus. [ours]"""


def shots_of_cameras(tested: Tested, rows: IntArray, shots: int) -> list[IntArray]:
    """In each draw, `shots` of each person's images by each camera among `rows`, or all if there are fewer; ascending.

    People of id 0 and -1 are in no draw.
    """
    known = rows[tested.person[rows] > 0]
    number, _ = number_groups(tested.person[known], tested.camera[known])
    return _shots(known, number, shots)


def shots_of_persons(tested: Tested, rows: IntArray, shots: int) -> list[IntArray]:
    """As `shots_of_cameras`, of each person's images by all cameras."""
    known = rows[tested.person[rows] > 0]
    number, _ = number_groups(tested.person[known])
    return _shots(known, number, shots)


def published_shots(drawn: Drawn, rows: IntArray, shots: int) -> list[IntArray]:
    """In each published draw, those of `rows` at the first `shots` places of their person and camera; ascending."""
    taken = (drawn.place < shots) & np.isin(drawn.row, rows)
    return [np.sort(drawn.row[taken & (drawn.draw == draw)]) for draw in np.unique(drawn.draw)]


def _shots(rows: IntArray, number: IntArray, shots: int) -> list[IntArray]:
    """The first `shots` rows of each number, in NUM_DRAWS random orders: more shots have those of fewer in them."""
    found = []
    for draw in range(NUM_DRAWS):
        order = np.random.default_rng([DRAW_SEED, draw]).permutation(len(rows))
        order = order[np.argsort(number[order], kind="stable")]
        place = np.arange(len(rows)) - np.searchsorted(number[order], number[order])
        found.append(np.sort(rows[order[place < shots]]))
    return found
