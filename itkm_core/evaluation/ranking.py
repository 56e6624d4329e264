"""The scores of a ranking alone."""

from __future__ import annotations

import numpy.typing as npt

from itkm_core.evaluation.mean_scores import Ranking
from itkm_core.evaluation.results import retrieve
from itkm_core.evaluation.rules import SAME_CAMERA, Rules

__all__ = ["Ranking", "rank"]


def rank(
    query_features: npt.ArrayLike,
    gallery_features: npt.ArrayLike,
    query_ids: npt.ArrayLike,
    gallery_ids: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
    *,
    rules: Rules = SAME_CAMERA,
    query_clothes: npt.ArrayLike | None = None,
    gallery_clothes: npt.ArrayLike | None = None,
    block: int | None = None,
    max_rank: int = 20,
) -> Ranking:
    """`retrieve(...).ranking`."""
    return retrieve(
        query_features,
        gallery_features,
        query_ids,
        gallery_ids,
        query_cameras,
        gallery_cameras,
        rules=rules,
        query_clothes=query_clothes,
        gallery_clothes=gallery_clothes,
        num_answers=1,
        block=block,
        max_rank=max_rank,
    ).ranking
