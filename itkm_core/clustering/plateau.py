"""eps without labels: the values over which the clusters stay the same, and the clearest of them. [ours]

Real clusters change little when eps moves by a step; accidental ones change a lot. So eps is taken from a plateau:
neighbouring values whose labels agree (AMI). Labels at the two ends of the range agree for the wrong reason: nearly all
images are noise, or one cluster has swallowed them. So a link between two values counts less the more images are left
out or in one cluster. docs/labelling.md shows how well this works.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from itkm_core.clustering.guards import Condition
from itkm_core.clustering.sweep import SweepPoint
from itkm_core.errors import LabelError

PLATEAU_TOLERANCE = 0.1
"""A link belongs to a plateau when it is at most this much weaker than the strongest."""


@dataclass(frozen=True)
class Choice:
    """The eps chosen, the eps values of its plateau (ascending, the chosen one among them), and why, in words."""

    eps: float
    plateau: tuple[float, ...]
    reason: str
    index: int  # of the chosen point

    def summary(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "plateau": list(self.plateau)}


def choose_eps(points: Sequence[SweepPoint], *, where: str = "the features") -> Choice:
    """The eps of the fewest errors where tracklets tell them (see `LinkErrors`), else of a sweep's most stable plateau.

    A link joins neighbouring values whose labels can both be learnt from (`check`), with the strength AMI x
    sqrt(share of images in clusters) x (1 - share of the largest cluster), the shares those of the worse end. A
    plateau is a run of links within `PLATEAU_TOLERANCE` of the strongest; the longest is taken, among equally long
    ones the one of larger mean strength, then of larger silhouette. In it, the value of the largest silhouette,
    then the smallest. Where no two neighbours can be learnt from, each usable value is its own plateau.

    Raises LabelError, naming what was found at every value, where none gives labels to learn from.
    """
    usable = [at for at, point in enumerate(points) if point.condition is Condition.OK]
    if not usable:
        raise LabelError(_no_value(points, where))
    measured = [(errors.total, at) for at in usable if (errors := points[at].errors) is not None]
    known = [(total, at) for total, at in measured if total is not None]
    if known:
        index = min(known)[1]
        errors = points[index].errors
        assert errors is not None
        reason = f"{errors.in_words()}, the lowest sum"
        return Choice(points[index].eps, (points[index].eps,), reason, index)
    runs = _runs([_strength(a, b) for a, b in pairwise(points)])
    plateaus = runs or [([at], 0.0) for at in usable]
    members, _ = max(
        plateaus, key=lambda run: (len(run[0]), run[1], max(_clear(points[at]) for at in run[0]))
    )
    index = max(members, key=lambda at: _clear(points[at]))
    chosen = points[index]
    return Choice(
        chosen.eps,
        tuple(points[at].eps for at in members),
        _reason(points, members, index, len(usable)),
        index,
    )


def _strength(a: SweepPoint, b: SweepPoint) -> float | None:
    if a.condition is not Condition.OK or b.condition is not Condition.OK or a.agreement is None:
        return None
    clustered = 1 - max(a.outlier_share, b.outlier_share)
    return a.agreement * math.sqrt(clustered) * (1 - max(a.largest_share, b.largest_share))


def _runs(links: Sequence[float | None]) -> list[tuple[list[int], float]]:
    """Values of each plateau, and the mean strength of its links."""
    floor = max((link for link in links if link is not None), default=0.0) - PLATEAU_TOLERANCE
    runs: list[tuple[list[int], float]] = []
    strengths: list[float] = []
    for at, link in enumerate([*links, None]):
        if link is not None and link >= floor:
            strengths.append(link)
        elif strengths:
            members = list(range(at - len(strengths), at + 1))
            runs.append((members, sum(strengths) / len(strengths)))
            strengths = []
    return runs


def _clear(point: SweepPoint) -> float:
    return -math.inf if point.silhouette is None else point.silhouette


def _reason(points: Sequence[SweepPoint], members: list[int], index: int, num_usable: int) -> str:
    if num_usable == 1:
        return "the only value whose labels can be learnt from"
    clearest = points[index].silhouette
    best = "" if clearest is None else f"; silhouette {clearest:.3f} is the largest there"
    if len(members) == 1:
        return f"no two neighbouring values have labels that can be learnt from{best}"
    lowest = min(points[at].agreement or 0.0 for at in members[:-1])
    return (
        f"from {points[members[0]].eps:g} to {points[members[-1]].eps:g} the labels change least "
        f"(AMI {lowest:.2f} or more between neighbouring values){best}"
    )


def _no_value(points: Sequence[SweepPoint], where: str) -> str:
    found = ", ".join(f"{point.eps:g} {point.condition.value}" for point in points)
    advice = {
        Condition.ALL_NOISE: "try larger values, lower min_samples, or change k1",
        Condition.ONE_GIANT_CLUSTER: "try smaller values or a lower k1",
        Condition.NO_CLUSTERS: "there are no images",
    }[points[-1].condition]
    return (
        f"{where}: no eps gives labels to learn from ({found}); expected clusters, and none with more than "
        f"half of the images: {advice} (labels.eps_candidates, labels.k1, labels.min_samples)"
    )
