"""How right the matches are by the hidden identities. Read only to report, never to train. [ours]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.guards import label_array
from itkm_core.errors import LabelError
from itkm_core.matching.clusters import ClusterMatches
from itkm_core.matching.health import Measures, ratio
from itkm_core.matching.instances import InstanceMatches
from itkm_core.neighbors.lookup import Lookup

Numbers = npt.NDArray[np.int64]

UNKNOWN = -1
"""The person of a cluster without an image of a known person."""


@dataclass(frozen=True)
class ClusterAccuracy(Measures):
    """Cluster matches of one scenario against identities. A cluster's person is its most frequent known one.

    `accuracy`: share of pairs whose clusters have the same person; `reliable_accuracy` and `mutual_accuracy`: of
    the reliable pairs, of the mutual-best pairs. Pairs with a cluster of no known person are not scored.
    `image_accuracy`: what a training image sees: of each image with a known person in a cluster with reliable
    partners, the share of those that are its own person; the mean over the images of both sides.
    `attainable`: share of the larger side's clusters whose person has a cluster on the other side: as each of them
    is matched, about the most `accuracy` can be. A share over nothing is NaN.
    """

    accuracy: float
    reliable_accuracy: float
    mutual_accuracy: float
    image_accuracy: float
    attainable: float
    num_scored: int
    num_pairs: int


@dataclass(frozen=True)
class InstancePrecision(Measures):
    """Instance positives of one side against identities; images of no known person are in no score.

    `pair_precision`: share of (image, positive) pairs that are one person. `image_precision`: that share in each
    image's set, the mean over the images with a set: what the loss, which averages a set, sees.
    """

    pair_precision: float
    image_precision: float
    num_pairs: int
    num_images: int


def cluster_accuracy(
    matches: ClusterMatches,
    labels_0: npt.ArrayLike,
    persons_0: npt.ArrayLike,
    labels_1: npt.ArrayLike,
    persons_1: npt.ArrayLike,
) -> ClusterAccuracy:
    """Score cluster matches. `labels_g` int [N_g] (-1 outlier), `persons_g` int [N_g] (below 1: unknown).

    Raises LabelError for different lengths, or labels that are not of the matched clusters.
    """
    labels = _integers(labels_0, "labels_0"), _integers(labels_1, "labels_1")
    persons = _integers(persons_0, "persons_0"), _integers(persons_1, "persons_1")
    for side in (0, 1):
        _check_side(labels[side], persons[side], matches.num_clusters[side], side)
    # Persons as 0.. without gaps, so that (cluster, person) is one number.
    known = np.unique(np.concatenate([p[p > 0] for p in persons]))
    sides = []
    for label, person, num in zip(labels, persons, matches.num_clusters, strict=True):
        number = np.where(person > 0, np.searchsorted(known, person), UNKNOWN)
        sides.append(_Side(label, number, num, len(known)))
    person_0, person_1 = sides[0].person[matches.pairs[:, 0]], sides[1].person[matches.pairs[:, 1]]
    scored = (person_0 != UNKNOWN) & (person_1 != UNKNOWN)
    right = person_0 == person_1
    reliable, mutual = scored & matches.reliable, scored & matches.mutual
    larger = int(matches.num_clusters[1] > matches.num_clusters[0])
    wanted = sides[larger].person[sides[larger].person != UNKNOWN]
    seen, images = zip(*(_seen(matches, side, sides) for side in (0, 1)), strict=True)
    return ClusterAccuracy(
        accuracy=ratio(int((right & scored).sum()), int(scored.sum())),
        reliable_accuracy=ratio(int((right & reliable).sum()), int(reliable.sum())),
        mutual_accuracy=ratio(int((right & mutual).sum()), int(mutual.sum())),
        image_accuracy=ratio(sum(seen), sum(images)),
        attainable=ratio(int(np.isin(wanted, sides[1 - larger].person).sum()), len(wanted)),
        num_scored=int(scored.sum()),
        num_pairs=len(matches.pairs),
    )


def instance_precision(
    matches: InstanceMatches, side: int, persons_0: npt.ArrayLike, persons_1: npt.ArrayLike
) -> InstancePrecision:
    """Score the positive sets of the images of `side` (0 or 1). `persons_g` int [N_g] (below 1: unknown).

    Raises LabelError for persons that are not one an image.
    """
    persons = _integers(persons_0, "persons_0"), _integers(persons_1, "persons_1")
    for each in (0, 1):
        num_images = len(matches.positives(each).indptr) - 1
        if len(persons[each]) != num_images:
            raise LabelError(
                f"{len(persons[each])} persons for {num_images} images of g = {each}: one each expected"
            )
    positives = matches.positives(side)
    own, other = persons[side][positives.rows], persons[1 - side][positives.indices]
    known = (own > 0) & (other > 0)
    rows, right = positives.rows[known], (own == other)[known]
    sizes = np.bincount(rows, minlength=len(persons[side]))
    hits = np.bincount(rows, weights=right, minlength=len(persons[side]))
    some = sizes > 0
    return InstancePrecision(
        pair_precision=ratio(int(right.sum()), len(right)),
        image_precision=ratio(float((hits[some] / sizes[some]).sum()), int(some.sum())),
        num_pairs=len(right),
        num_images=int(some.sum()),
    )


class _Side:
    """Images of known persons in the clusters of one side, counted.

    `person` int64 [K]: each cluster's most frequent one, ties to the lower number; `images` int64 [K].
    """

    def __init__(
        self, labels: Numbers, persons: Numbers, num_clusters: int, num_persons: int
    ) -> None:
        use = (labels >= 0) & (persons != UNKNOWN)
        self._width = max(num_persons, 1)
        self._keys, self._counts = np.unique(
            labels[use] * self._width + persons[use], return_counts=True
        )
        self.images = np.bincount(labels[use], minlength=num_clusters)
        cluster, person = self._keys // self._width, self._keys % self._width
        order = np.lexsort((person, -self._counts, cluster))
        clusters, first = np.unique(cluster[order], return_index=True)
        self.person = np.full(num_clusters, UNKNOWN, np.int64)
        self.person[clusters] = person[order][first]

    def count(self, clusters: Numbers, persons: Numbers) -> Numbers:
        """Images of person p in cluster c, int64 [n]."""
        counts = np.zeros(len(clusters), np.int64)
        places, found = Lookup(self._keys).find(clusters * self._width + persons)
        counts[found] = self._counts[places[found]]
        return counts


def _seen(matches: ClusterMatches, side: int, sides: list[_Side]) -> tuple[float, int]:
    """Sum over images of the share of right reliable partners, and the number of images that have partners."""
    own, other = matches.pairs[:, side], matches.pairs[:, 1 - side]
    partner = sides[1 - side].person[other]
    use = matches.reliable & (partner != UNKNOWN)
    own, partner = own[use], partner[use]
    num_partners = np.bincount(own, minlength=len(sides[side].person))
    right = sides[side].count(own, partner) / num_partners[own]
    return float(right.sum()), int(sides[side].images[num_partners > 0].sum())


def _integers(values: npt.ArrayLike, name: str) -> Numbers:
    try:
        return label_array(values).astype(np.int64)
    except LabelError as error:
        raise LabelError(f"{name}: {error}") from None


def _check_side(labels: Numbers, persons: Numbers, num_clusters: int, side: int) -> None:
    if len(labels) != len(persons):
        raise LabelError(
            f"{len(labels)} labels for {len(persons)} persons of g = {side}: one each expected"
        )
    if len(labels) and (labels.min() < -1 or labels.max() >= num_clusters):
        raise LabelError(
            f"labels of g = {side} run from {labels.min()} to {labels.max()}; "
            f"expected -1 to {num_clusters - 1}, those of the matched clusters"
        )
