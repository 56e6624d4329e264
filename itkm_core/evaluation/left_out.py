"""Which images of the gallery a query is not asked of, and which show its person."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import IntArray
from itkm_core.evaluation.images import DISTRACTOR, JUNK, UNKNOWN, Images
from itkm_core.evaluation.rules import Rules


class LeftOut:
    """The rules of one query set and one gallery."""

    def __init__(self, query: Images, gallery: Images, rules: Rules) -> None:
        self._query, self._gallery, self._rules = query, gallery, rules
        self._by_person = np.argsort(gallery.persons, kind="stable")
        of = gallery.persons, query.persons
        self._start = np.searchsorted(*of, "left", sorter=self._by_person)
        self._stop = np.searchsorted(*of, "right", sorter=self._by_person)
        self._junk = np.flatnonzero(gallery.persons == JUNK)
        self._blind = {
            camera: np.flatnonzero(
                np.isin(gallery.cameras, [there for here, there in rules.blind if here == camera])
            )
            for camera, _ in rules.blind
        }

    def apply(self, row: npt.NDArray[np.float32], number: int) -> IntArray:
        """Sets the scores [G] of what this query is not asked of to -inf; returns its matches, ascending."""
        query, gallery = self._query, self._gallery
        row[self._junk] = -np.inf
        camera, clothes = int(query.cameras[number]), int(query.clothes[number])
        if camera in self._blind:
            row[self._blind[camera]] = -np.inf
        if query.persons[number] <= DISTRACTOR:
            return np.zeros(0, np.int64)
        same_person = self._by_person[self._start[number] : self._stop[number]]
        if self._rules.same_camera and camera != UNKNOWN:
            row[same_person[gallery.cameras[same_person] == camera]] = -np.inf
        if self._rules.same_clothes and clothes != UNKNOWN:
            row[same_person[gallery.clothes[same_person] == clothes]] = -np.inf
        return same_person[row[same_person] > -np.inf]
