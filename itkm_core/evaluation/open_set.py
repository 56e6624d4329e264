"""Is this a new person? Error rates of a threshold on the score of a query's best answer. [ours]"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from itkm_core.evaluation.arrays import FloatArray


class NewPersonErrors(NamedTuple):
    """A query is called a new person if its best answer scores below `threshold`.

    `new_missed`: of people whom the gallery does not have, those taken for one it has. `known_missed`: of people whom
    it has, those called new.
    """

    threshold: float
    new_missed: float
    known_missed: float


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Scores of best answers, one a trial, ascending: `known` of people in the gallery, `new` of people not in it.

    Every query with a match is asked twice: of its whole gallery, and of the gallery without its person, as if they had
    not been seen before. A query of a person without a match is asked once, as new. Exact: there are no more trials
    than twice the queries.
    """

    known: FloatArray
    new: FloatArray

    @property
    def auc(self) -> float:
        """Area under the ROC: how often a known person's best answer beats a new one's, a tie being half.

        NaN without trials of both kinds.
        """
        pairs = len(self.known) * len(self.new)
        if not pairs:
            return math.nan
        below = np.searchsorted(self.new, self.known, "left").sum()
        not_above = np.searchsorted(self.new, self.known, "right").sum()
        return float((below + not_above) / (2 * pairs))

    def at(self, threshold: float) -> NewPersonErrors:
        """Both errors at a threshold; NaN where there are no such people."""
        new_missed, known_missed = self._errors(np.array([threshold]))
        return NewPersonErrors(threshold, float(new_missed[0]), float(known_missed[0]))

    def equal(self) -> NewPersonErrors:
        """The score of a trial at which both errors are closest, the lowest such; NaN without trials of both kinds."""
        if not (len(self.known) and len(self.new)):
            return NewPersonErrors(math.nan, math.nan, math.nan)
        candidates = np.unique(np.concatenate([self.known, self.new]))
        new_missed, known_missed = self._errors(candidates)
        return self.at(float(candidates[np.abs(new_missed - known_missed).argmin()]))

    def summary(self) -> dict[str, float]:
        """By name the area, and the threshold of equal errors with the larger of them."""
        threshold, *errors = self.equal()
        return {
            "open_set_auc": self.auc,
            "new_person_threshold": threshold,
            "new_person_error": max(errors),
        }

    def _errors(self, thresholds: FloatArray) -> tuple[FloatArray, FloatArray]:
        with np.errstate(invalid="ignore"):
            new_below = np.searchsorted(self.new, thresholds, "left") / np.float64(len(self.new))
            known_below = np.searchsorted(self.known, thresholds, "left") / np.float64(
                len(self.known)
            )
        return 1 - new_below, known_below
