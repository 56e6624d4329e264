"""What every stage checks in a step, on every worker and before anything has changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.errors import DivergedError, TrainingError


def check_labels(plan: BatchPlan, num_clusters: Sequence[int], what: str) -> None:
    """Refuse a plan made from other labels than `what`, which has `num_clusters` of each block.

    Raises:
        TrainingError: another number of blocks, or an image of a cluster that is not there.
    """
    if plan.num_blocks != len(num_clusters):
        raise TrainingError(
            f"{what} of {len(num_clusters)} blocks for a plan of {plan.num_blocks}: expected {what} "
            "for every block"
        )
    known = np.asarray(num_clusters)[plan.block]
    wrong = np.flatnonzero((plan.labels < 0) | (plan.labels >= known))
    if len(wrong):
        row = wrong[0]
        raise TrainingError(
            f"Block {plan.block[row]} has an image of cluster {plan.labels[row]} and {what} for "
            f"{known[row]} clusters: both must come from the same labels"
        )


def finite(value: Tensor, what: str, plan: BatchPlan, advice: str) -> float:
    """The number in `value`, which is the same on every worker, so that all of them stop or none.

    Raises:
        DivergedError: it is not finite.
    """
    number = float(value.item())
    if not math.isfinite(number):
        raise DivergedError(
            f"The {what} is {number} at step {plan.step} of round {plan.round}, on at least one "
            f"worker. {advice}, or use precision fp32 if this is bf16. Nothing was changed in this "
            "step"
        )
    return number
