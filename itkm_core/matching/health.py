"""Is the matching well? What can be told without identity labels, every round. All measures are [ours]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from itkm_core.errors import ConfigError
from itkm_core.matching.chance import mutual_by_chance
from itkm_core.matching.clusters import ClusterMatches
from itkm_core.matching.instances import InstanceMatches

AFFINITY_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class Measures:
    """Numbers by name; NaN where there was nothing to measure."""

    def summary(self) -> dict[str, Any]:
        """The fields by name, ready for JSON: NaN becomes None."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class ClusterHealth(Measures):
    """Cluster matches of one scenario, without labels. Shares are in [0, 1]; NaN over nothing.

    `mutual_share`: share of the smaller side's clusters that have a partner with which they are mutual best. The
    larger side has more clusters than that side can be best for, so it is not counted: 1 can be reached.
    `affinity`: quantiles of all matched affinities by name ("0.1": the 10 % quantile).
    `threshold`: the affinity from which pairs are reliable. `reliable_mutual_share`: share of the reliable pairs
    that are mutual best. `by_chance`: see `mutual_by_chance`; NaN where a quantile decides.
    `image_text_agreement`: see `match_agreement`; NaN where not measured.
    """

    num_clusters_0: int
    num_clusters_1: int
    num_pairs: int
    num_reliable: int
    mutual_share: float
    reliable_mutual_share: float
    threshold: float
    affinity: dict[str, float]
    by_chance: float
    image_text_agreement: float


@dataclass(frozen=True)
class InstanceHealth(Measures):
    """Positive sets of the images of one side, empty ones counted: mean and median size, share that is empty.

    All are NaN for a side without images.
    """

    num_images: int
    mean_size: float
    median_size: float
    empty_share: float


def cluster_health(
    matches: ClusterMatches,
    *,
    chance: float | None = None,
    image_only: ClusterMatches | None = None,
    text_only: ClusterMatches | None = None,
) -> ClusterHealth:
    """The health of one scenario's cluster matches.

    `chance`: what the reliable pairs were chosen by, if not a quantile.
    `image_only`, `text_only`: matches of the same clusters by `match_clusters(..., image_weight=1)` and
    `(..., image_weight=0)`, whose agreement is reported where both are given.
    """
    affinity = {}
    if len(matches.pairs):
        values = np.quantile(matches.affinity.astype(np.float64), AFFINITY_QUANTILES)
        affinity = {f"{q:g}": float(v) for q, v in zip(AFFINITY_QUANTILES, values, strict=True)}
    agreement = math.nan
    if image_only is not None and text_only is not None:
        agreement = match_agreement(image_only, text_only)
    return ClusterHealth(
        num_clusters_0=matches.num_clusters[0],
        num_clusters_1=matches.num_clusters[1],
        num_pairs=len(matches.pairs),
        num_reliable=int(matches.reliable.sum()),
        # A cluster is best for at most one: mutual pairs have no cluster in common.
        mutual_share=ratio(int(matches.mutual.sum()), min(matches.num_clusters)),
        reliable_mutual_share=ratio(
            int((matches.mutual & matches.reliable).sum()), int(matches.reliable.sum())
        ),
        threshold=matches.threshold,
        affinity=affinity,
        by_chance=math.nan if chance is None else mutual_by_chance(matches.num_clusters, chance),
        image_text_agreement=agreement,
    )


def match_agreement(matches_a: ClusterMatches, matches_b: ClusterMatches) -> float:
    """Pairs that two matchings of the same clusters share, over the pairs of either (Jaccard); NaN without pairs.

    Raises ConfigError for matchings of different numbers of clusters.
    """
    if matches_a.num_clusters != matches_b.num_clusters:
        raise ConfigError(
            f"matchings are of {matches_a.num_clusters} and {matches_b.num_clusters} clusters; "
            "expected two matchings of the same clusters"
        )
    width = max(matches_a.num_clusters[1], 1)
    keys_a, keys_b = (m.pairs[:, 0] * width + m.pairs[:, 1] for m in (matches_a, matches_b))
    return ratio(len(np.intersect1d(keys_a, keys_b)), len(np.union1d(keys_a, keys_b)))


def instance_health(matches: InstanceMatches, side: int) -> InstanceHealth:
    """Sizes of the positive sets of the images of `side`, 0 or 1."""
    sizes = matches.positives(side).sizes
    some = len(sizes) > 0
    return InstanceHealth(
        num_images=len(sizes),
        mean_size=float(sizes.mean()) if some else math.nan,
        median_size=float(np.median(sizes)) if some else math.nan,
        empty_share=float((sizes == 0).mean()) if some else math.nan,
    )


def problems(
    clusters: ClusterHealth | None,
    instances: Sequence[InstanceHealth] = (),
    *,
    where: str,
    min_mutual_share: float = 0.1,
    max_empty_share: float = 0.9,
) -> list[str]:
    """One line for each sign that the matches of scenario `where` have collapsed; [] if there is none.

    `clusters` is None where CHM is off and `instances` empty where IHM is. Both limits are [ours]; matches of
    unrelated vectors are mutual best in well under one of ten.
    """
    lines = []
    if clusters is not None and not clusters.num_pairs:
        lines.append(
            f"{where}: no cluster is matched, for the groups have {clusters.num_clusters_0} and "
            f"{clusters.num_clusters_1} clusters; expected clusters in both"
        )
    elif clusters is not None and clusters.mutual_share < min_mutual_share:
        lines.append(
            f"{where}: only {clusters.mutual_share:.0%} of the clusters are mutual best with a partner, expected "
            f"at least {min_mutual_share:.0%}: many clusters crowd around few. Look at the pseudo-labels of both "
            "groups, or change image_weight"
        )
    for side, health in enumerate(instances):
        if health.empty_share > max_empty_share:
            lines.append(
                f"{where}: {health.empty_share:.0%} of the images of g = {side} have no instance positive, expected "
                f"at most {max_empty_share:.0%}: image and text space disagree. Raise k, or train more steps of "
                "Stage II"
            )
    return lines


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN over nothing."""
    return part / whole if whole else math.nan
