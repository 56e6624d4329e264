"""The scores of a protocol's settings, over their draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.evaluation.arrays import IntArray
from itkm_core.evaluation.pooling import sums_of
from itkm_core.evaluation.protocols.setting import Draw, Setting, Tested
from itkm_core.evaluation.ranking import Ranking, rank
from itkm_core.neighbors.groups import number_groups

COUNTS = ("num_queries", "num_skipped")


@dataclass(frozen=True, eq=False)
class SettingScore:
    """One row of the evaluation table: a setting and the ranking of each of its draws."""

    scenario: str
    setting: Setting
    rankings: tuple[Ranking, ...]

    def __str__(self) -> str:
        each = self.setting
        return f"{self.scenario} {each.query_group}->{each.gallery_group} {each.name}"

    @property
    def num_queries(self) -> int:
        """Queries with a match, over all draws."""
        return sum(ranking.num_queries for ranking in self.rankings)

    @property
    def num_skipped(self) -> int:
        """Queries without one, over all draws."""
        return sum(ranking.num_skipped for ranking in self.rankings)

    def summary(self) -> dict[str, Any]:
        """Names and scores, ready for JSON: those of `Ranking.summary()`, each the mean over the draws.

        `std`: the sample deviation of each score over the draws, None of a single draw. `num_draws`: how many. Counts
        of queries are those of a draw, rounded where draws differ.
        """
        draws = [ranking.summary() for ranking in self.rankings]
        mean: dict[str, float | None] = {}
        std: dict[str, float | None] = {}
        for name in draws[0]:
            values = np.array([row[name] for row in draws], np.float64)  # NaN for None
            if name in COUNTS:
                mean[name] = round(values.mean())
            else:
                mean[name] = _known(values.mean())
                std[name] = _known(values.std(ddof=1)) if len(values) > 1 else None
        setting = self.setting
        return {
            "scenario": self.scenario,
            "query_group": setting.query_group,
            "gallery_group": setting.gallery_group,
            "name": setting.name,
            "num_draws": len(draws),
            **mean,
            "std": std,
        }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def score_settings(
    scenario: str,
    settings: Sequence[Setting],
    tested: Tested,
    vectors: npt.NDArray[Any],
    rows: IntArray,
    *,
    block: int | None = None,
    max_rank: int = 20,
) -> list[SettingScore]:
    """Score each draw of each setting with `rank`.

    vectors: float [M, D], with the vector of row i of `tested` in row `rows[i]`; of unit norm where tracklets count.
    """
    images = vectors, rows
    of_tracklets = _pooled(tested, vectors, rows) if any(s.tracklets for s in settings) else images
    scores = []
    for setting in settings:
        given = of_tracklets if setting.tracklets else images
        rankings = tuple(
            _rank(setting, draw, tested, *given, block=block, max_rank=max_rank)
            for draw in setting.draws
        )
        scores.append(SettingScore(scenario, setting, rankings))
    return scores


def _rank(
    setting: Setting,
    draw: Draw,
    tested: Tested,
    vectors: npt.NDArray[Any],
    rows: IntArray,
    *,
    block: int | None,
    max_rank: int,
) -> Ranking:
    query, gallery = draw
    return rank(
        vectors[rows[query]],
        vectors[rows[gallery]],
        tested.person[query],
        tested.person[gallery],
        tested.camera[query],
        tested.camera[gallery],
        rules=setting.rules,
        query_clothes=tested.clothes[query],
        gallery_clothes=tested.clothes[gallery],
        block=block,
        max_rank=max_rank,
    )


def _pooled(
    tested: Tested, vectors: npt.NDArray[Any], rows: IntArray
) -> tuple[npt.NDArray[Any], IntArray]:
    """Vectors of tracklets, and which of them each row is of; of no tracklet: -1, which no draw asks for."""
    inside = np.flatnonzero(tested.tracklet >= 0)
    keys = (tested.group, tested.camera, tested.split, tested.tracklet)
    number, first = number_groups(*(key[inside] for key in keys))
    of_rows = np.full(len(rows), -1)
    of_rows[inside] = number
    return sums_of(vectors, rows[inside], number, len(first)), of_rows
