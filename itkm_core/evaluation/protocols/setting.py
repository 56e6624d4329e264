"""What a protocol is given, and what it gives back: its settings, such as single-shot and multi-shot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import IntArray
from itkm_core.evaluation.rules import Rules


class Drawn(NamedTuple):
    """Published draws, as DRAWS_SCHEMA has them with rows of `Tested` for sample ids; int64 [K] each."""

    row: IntArray
    draw: IntArray
    place: IntArray


@dataclass(frozen=True, eq=False)
class Tested:
    """The query and gallery images of one scenario by sample id, in columns [N].

    split: `query` or `gallery`. camera, person, clothes, tracklet: -1 unknown. draws: None if none are published.
    """

    sample_id: IntArray
    group: IntArray
    camera: IntArray
    split: npt.NDArray[Any]
    person: IntArray
    clothes: IntArray
    tracklet: IntArray
    draws: Drawn | None = None

    def rows(
        self,
        split: str | None = None,
        *,
        group: int | None = None,
        cameras: tuple[int, ...] | None = None,
    ) -> IntArray:
        """The rows of a split, of a group, and by one of `cameras`, ascending; None: of any."""
        here = np.ones(len(self.sample_id), bool)
        if split is not None:
            here &= self.split == split
        if group is not None:
            here &= self.group == group
        if cameras is not None:
            here &= np.isin(self.camera, cameras)
        return np.flatnonzero(here)


class Draw(NamedTuple):
    """One query set and one gallery: rows of `Tested`, int64."""

    query: IntArray
    gallery: IntArray


@dataclass(frozen=True, eq=False)
class Setting:
    """One way in which a protocol asks a scenario. Its score is the mean over its draws.

    tracklets: a row stands for the tracklet that its image is of, with the mean of that tracklet's features.
    """

    name: str
    query_group: int
    gallery_group: int
    rules: Rules
    draws: tuple[Draw, ...]
    tracklets: bool = False


def within(tested: Tested, name: str, query: IntArray, gallery: IntArray, rules: Rules) -> Setting:
    """A setting of one draw whose groups are those of its first query and gallery image."""
    asking, asked = (int(tested.group[rows[0]]) if len(rows) else 0 for rows in (query, gallery))
    return Setting(name, asking, asked, rules, (Draw(query, gallery),))
