"""Labels at several values of eps for little more than the cost of one, and what each gives, without identities. [ours]

The neighbour search and the Jaccard graph do not depend on eps, so both are made once, the graph up to the largest
value. Each value then costs a DBSCAN, a silhouette and an agreement, all linear in the graph's edges or images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.agreement import agreement
from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.guards import Condition, check
from itkm_core.clustering.link_errors import LinkErrors
from itkm_core.clustering.linked_space import LinkedSpace, label_space
from itkm_core.clustering.options import LabelOptions, check_eps_values
from itkm_core.clustering.pseudo_labels import JaccardSpace, PseudoLabels
from itkm_core.clustering.silhouette import silhouette
from itkm_core.errors import ConfigError
from itkm_core.links.units import Links
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.lists import RECALL
from itkm_core.neighbors.workers import Threads, Workers


@dataclass(frozen=True)
class SweepPoint:
    """What one eps gives.

    `outlier_share`, `largest_share` (of the largest cluster): of all images, in [0, 1]. `silhouette`: see
    `silhouette`, on the sweep's graph; None with fewer than two clusters. `agreement`: AMI with the labels at
    the next larger value (each outlier a separate cluster); None at the last. `condition`: see `check`. `errors`: see
    `link_errors`; None where nothing is known of the images.
    """

    eps: float
    num_clusters: int
    outlier_share: float
    largest_share: float
    silhouette: float | None
    agreement: float | None
    condition: Condition
    errors: LinkErrors | None = None

    def summary(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {**asdict(self), "condition": self.condition.value}
        del values["errors"]
        return values if self.errors is None else {**values, **self.errors.summary()}


@dataclass(frozen=True)
class Sweep:
    """`points` in order of eps, and what makes the labels at any of them."""

    points: tuple[SweepPoint, ...]
    space: JaccardSpace | LinkedSpace
    clusterings: tuple[Clustering, ...]

    def pseudo_labels(self, index: int) -> PseudoLabels:
        """The labels at `points[index]`: those of `pseudo_label` at that eps, bit for bit."""
        return self.space.pseudo_labels(self.clusterings[index], self.points[index].eps)


def sweep(
    features: Any,
    *,
    eps_values: Sequence[float],
    k1: int = 30,
    k2: int = 6,
    min_samples: int = 4,
    backend: str = "auto",
    recall: float = RECALL,
    dbscan: str = "sparse",
    sample_ids: npt.ArrayLike | None = None,
    num_threads: int | None = None,
    workers: Workers | None = None,
) -> Sweep:
    """Label the same images at each of `eps_values` (ascending); the other arguments as in `pseudo_label`.

    Raises ConfigError for values that do not ascend or are out of range, else as `pseudo_label` does.
    """
    check_eps_values(eps_values)
    options = LabelOptions(
        k1=k1,
        k2=k2,
        eps="auto",
        eps_candidates=tuple(eps_values),
        min_samples=min_samples,
        backend=backend,
        recall=recall,
        dbscan=dbscan,
    )
    by: Workers = workers or Threads(thread_count(num_threads))
    return sweep_with(features, options, sample_ids=sample_ids, workers=by)


def sweep_with(
    features: Any,
    options: LabelOptions,
    *,
    sample_ids: npt.ArrayLike | None = None,
    workers: Workers | None = None,
    links: Links | None = None,
    errors: Mapping[float, LinkErrors] | None = None,
) -> Sweep:
    """As `sweep`, at each of the options' `eps_candidates`; `links`: see `label_space`, `errors`: by eps."""
    by: Workers = workers or Threads(thread_count())
    space = label_space(features, options, sample_ids=sample_ids, workers=by, links=links)
    values, of_each = options.eps_candidates, errors or {}
    found = tuple(space.cluster(eps) for eps in values)
    followers = [*found[1:], None]
    points = tuple(
        _point(space, eps, each, follower, by.threads, of_each.get(eps))
        for eps, each, follower in zip(values, found, followers, strict=True)
    )
    return Sweep(points, space, found)


def _point(
    space: JaccardSpace | LinkedSpace,
    eps: float,
    found: Clustering,
    follower: Clustering | None,
    threads: int,
    errors: LinkErrors | None,
) -> SweepPoint:
    labels = space.of_images(found.labels)
    sizes = np.bincount(labels[labels >= 0])
    num_images = max(len(labels), 1)
    return SweepPoint(
        eps=float(eps),
        num_clusters=len(sizes),
        outlier_share=float((labels < 0).sum() / num_images),
        largest_share=float(sizes.max(initial=0) / num_images),
        silhouette=(
            None if space.graph is None else silhouette(space.graph, found.labels, threads=threads)
        ),
        agreement=None if follower is None else agreement(labels, space.of_images(follower.labels)),
        condition=check(labels),
        errors=errors,
    )


def eps_range(start: float, stop: float, step: float) -> tuple[float, ...]:
    """start, start + step, ... up to and with stop, without the noise of float sums. [ours]

    Raises ConfigError for a range without a value, with more than 100, or that leaves (0, 1).
    """
    if not all(map(math.isfinite, (start, stop, step))) or step <= 0 or stop < start:
        raise ConfigError(
            f"eps from {start:g} to {stop:g} by {step:g}; expected a rising range and a step above 0"
        )
    count = math.floor((stop - start) / step + 1e-6) + 1
    if count > MAX_VALUES:
        raise ConfigError(
            f"eps from {start:g} to {stop:g} by {step:g} are {count:,} values; expected at most "
            f"{MAX_VALUES}: make the step larger"
        )
    values = tuple(round(start + number * step, 9) for number in range(count))
    check_eps_values(values)
    return values


MAX_VALUES = 100
"""More than this is a mistyped step."""
