"""One person or two: error rates of a threshold on the score of a pair, over all pairs that retrieval compares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from itkm_core.evaluation.arrays import FloatArray, IntArray

STEPS = 2**14
"""Bins of scores per unit: thresholds are multiples of 1/16384. [ours]"""

NUM_BINS = 2 * STEPS + 1
"""Bin b: scores in [b / STEPS - 1, (b + 1) / STEPS - 1); the last: 1 and more."""

TARGETS = (0.01, 0.001)


class PairErrors(NamedTuple):
    """A pair is taken for one person if its score is at least `threshold`.

    `fmr`, false match rate: of pairs of two people those taken for one. `fnmr`, false non-match rate: of pairs of one
    person those taken for two.
    """

    threshold: float
    fmr: float
    fnmr: float


@dataclass(frozen=True, eq=False)
class Verification:
    """How many pairs of one person (`genuine`) and of two (`impostor`) have a score in each bin, int64 [NUM_BINS].

    Pairs are those of a query of a known person and every image of its gallery that the rules leave in. Memory does not
    grow with them. Rates are exact at the thresholds, multiples of 1/STEPS; only the scores between two of them are not
    told apart. FMR and FNMR are those of ISO/IEC 19795-1.
    """

    genuine: IntArray
    impostor: IntArray

    @property
    def thresholds(self) -> FloatArray:
        """[NUM_BINS + 1]; at the last, just above 1, every pair is taken for two people."""
        return np.arange(NUM_BINS + 1) / STEPS - 1

    @property
    def fmr(self) -> FloatArray:
        """At each threshold [NUM_BINS + 1], falling; NaN without impostor pairs."""
        at_least = np.append(np.cumsum(self.impostor[::-1])[::-1], 0)
        return _shares(at_least, at_least[0])

    @property
    def fnmr(self) -> FloatArray:
        """At each threshold [NUM_BINS + 1], rising; NaN without genuine pairs."""
        below = np.append(0, np.cumsum(self.genuine))
        return _shares(below, below[-1])

    def at(self, threshold: float) -> PairErrors:
        """The errors at the lowest of `thresholds` that is at least this one."""
        return self._errors(min(int(np.searchsorted(self.thresholds, threshold)), NUM_BINS))

    def at_fmr(self, fmr: float) -> PairErrors:
        """The errors at the lowest of `thresholds` with at most this FMR; NaN without impostor pairs."""
        reached = self.fmr <= fmr
        return self._errors(int(reached.argmax())) if reached.any() else PairErrors(*[math.nan] * 3)

    def curve(self, num: int = 200) -> list[PairErrors]:
        """Up to `num` thresholds, evenly spaced over the scores that occur: the curve of a report."""
        held = np.flatnonzero(self.genuine + self.impostor)
        if not len(held):
            return []
        places = np.unique(np.linspace(held[0], held[-1] + 1, num).round().astype(np.int64))
        of = zip(self.thresholds[places], self.fmr[places], self.fnmr[places], strict=True)
        return [PairErrors(*map(float, each)) for each in of]

    def summary(self) -> dict[str, float]:
        """FNMR at the usual FMRs, by name."""
        return {f"fnmr_at_fmr_{target}": self.at_fmr(target).fnmr for target in TARGETS}

    def _errors(self, place: int) -> PairErrors:
        of = self.thresholds[place], self.fmr[place], self.fnmr[place]
        return PairErrors(*map(float, of))


def _shares(counts: IntArray, whole: int) -> FloatArray:
    return counts / whole if whole else np.full(len(counts), np.nan)
