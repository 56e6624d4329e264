"""Retrieval scores: CMC, mAP and mINP from the ranks of each query's matches, and what goes beyond ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import FloatArray, IntArray
from itkm_core.evaluation.images import DISTRACTOR
from itkm_core.evaluation.open_set import OpenSet
from itkm_core.evaluation.verification import Verification


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of one query set against one gallery. Every score is a fraction in [0, 1].

    `cmc[r - 1]` is the share of counted queries with a match among the first r answers; it has
    `max_rank` entries even if the gallery is smaller. `num_queries` counts the queries in the
    means, `num_skipped` those left out for having no valid match; together they are all queries
    given. With no counted query every mean is NaN.

    The `query_*` arrays have one entry per query given, in the given order: average precision and
    inverse negative penalty (NaN where skipped), and the 1-based rank of the first match as the rules count ranks
    (0 where skipped).

    `verification`: error rates of a threshold on the score of a pair; `open_set`: of one that tells new people.
    """

    cmc: FloatArray
    mean_ap: float
    mean_inp: float
    num_queries: int
    num_skipped: int
    query_ap: FloatArray
    query_inp: FloatArray
    query_first_rank: IntArray
    verification: Verification
    open_set: OpenSet

    def summary(self, ranks: tuple[int, ...] = (1, 5, 10, 20)) -> dict[str, float | int | None]:
        """Scores by name, ready for JSON: NaN becomes None, ranks beyond `max_rank` are absent."""
        scores = {f"rank_{r}": float(self.cmc[r - 1]) for r in ranks if r <= len(self.cmc)}
        scores |= {"mean_ap": self.mean_ap, "mean_inp": self.mean_inp}
        scores |= self.verification.summary() | self.open_set.summary()
        row: dict[str, float | int | None] = {
            name: None if math.isnan(value) else value for name, value in scores.items()
        }
        return row | {"num_queries": self.num_queries, "num_skipped": self.num_skipped}


def ranking_of(
    ap: FloatArray,
    inp: FloatArray,
    first_rank: IntArray,
    verification: Verification,
    open_set: OpenSet,
    max_rank: int,
) -> Ranking:
    """The means, from the `query_*` arrays of a ranking [Q]."""
    counted = np.flatnonzero(first_rank)
    hits = np.bincount(first_rank[counted], minlength=max_rank + 1)[1 : max_rank + 1]
    none = not len(counted)
    return Ranking(
        cmc=np.full(max_rank, np.nan) if none else np.cumsum(hits) / len(counted),
        mean_ap=math.nan if none else float(ap[counted].mean()),
        mean_inp=math.nan if none else float(inp[counted].mean()),
        num_queries=len(counted),
        num_skipped=len(first_rank) - len(counted),
        query_ap=ap,
        query_inp=inp,
        query_first_rank=first_rank,
        verification=verification,
        open_set=open_set,
    )


def person_rank(row: npt.NDArray[np.float32], matches: IntArray, persons: IntArray) -> int:
    """1-based rank of the first match where a person's images after its first take no rank."""
    best = row[matches].max()
    ahead = np.flatnonzero(row > best)
    tied = np.flatnonzero(row == best)
    before = persons[np.append(ahead, tied[tied < matches[row[matches] == best].min()])]
    known = before > DISTRACTOR
    return 1 + len(np.unique(before[known])) + int((~known).sum())
