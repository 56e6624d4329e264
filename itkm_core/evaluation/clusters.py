"""How well pseudo-labels agree with the hidden identities. Read only to report, never to train."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.errors import LabelError
from itkm_core.evaluation.arrays import IntArray, as_integers

OUTLIER = -1


@dataclass(frozen=True)
class LabelQuality:
    """Agreement of one group's pseudo-labels with its identities.

    `ari` (the headline) and `nmi` are over all known images, every outlier as its own cluster:
    leaving images out costs recall, so an eps that clusters few images cannot look good.
    `ari_clustered` is over clustered images only; read it beside `coverage`, their share.
    `purity`: share of clustered images of their cluster's most frequent person. `pair_precision`:
    share of same-cluster pairs that are one person. `pair_recall`: share of one person's pairs,
    over all known images, that share a cluster. A score over nothing (no clustered image, no pair)
    is NaN. Images of person 0 or -1 have no known identity: counted in `num_unknown`, in no score.
    """

    ari: float
    nmi: float
    ari_clustered: float
    coverage: float
    purity: float
    pair_precision: float
    pair_recall: float
    num_images: int
    num_unknown: int
    num_clusters: int
    num_persons: int

    def summary(self) -> dict[str, float | int | None]:
        """The fields by name, ready for JSON: NaN becomes None."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def label_quality(labels: npt.ArrayLike, persons: npt.ArrayLike) -> LabelQuality:
    """Score pseudo-labels int [N] (-1 outlier) of one (scenario, group) against persons int [N].

    ARI is Hubert and Arabie's adjusted Rand index (1985): 0 expected at chance, 1 for the same
    partition. NMI is normalised by the arithmetic mean of the entropies and, unlike ARI, is not
    corrected for chance: many small clusters raise it. Time and memory are linear in N.
    Outliers as singletons in the headline, and unknown persons left out, are [ours].

    Raises LabelError for different lengths, values below -1, or no image of a known person.
    """
    # scikit-learn takes most of a second to import, also for a process that asks for no score.
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    label = as_integers(labels, "pseudo-labels", LabelError)
    person = as_integers(persons, "persons", LabelError)
    if len(label) != len(person):
        raise LabelError(f"{len(label)} pseudo-labels for {len(person)} persons: one each expected")
    known = person > 0
    num_unknown = int(len(person) - known.sum())
    if num_unknown == len(person):
        raise LabelError(
            f"none of {len(person)} images has a known person (> 0): label quality needs identities"
        )
    label, person = label[known], person[known]
    clustered = label != OUTLIER
    singletons = label.copy()
    singletons[~clustered] = label.max() + 1 + np.arange((~clustered).sum())

    inside, inside_person = label[clustered], person[clustered]
    some = len(inside) > 0
    counts, majority = _joint_counts(inside, inside_person)
    together = _num_pairs(counts)
    return LabelQuality(
        ari=float(adjusted_rand_score(person, singletons)),
        nmi=float(normalized_mutual_info_score(person, singletons)),
        ari_clustered=float(adjusted_rand_score(inside_person, inside)) if some else math.nan,
        coverage=len(inside) / len(label),
        purity=_ratio(majority, len(inside)),
        pair_precision=_ratio(together, _num_pairs(_sizes(inside))),
        pair_recall=_ratio(together, _num_pairs(_sizes(person))),
        num_images=len(person),
        num_unknown=num_unknown,
        num_clusters=len(np.unique(inside)),
        num_persons=len(np.unique(person)),
    )


def _joint_counts(label: IntArray, person: IntArray) -> tuple[IntArray, int]:
    """Sizes of the (cluster, person) cells, and how many images their clusters' majorities hold."""
    if not len(label):
        return np.zeros(0, np.int64), 0
    pairs, counts = np.unique(np.stack([label, person]), axis=1, return_counts=True)
    starts = np.flatnonzero(np.diff(pairs[0], prepend=-1))  # pairs come sorted by cluster
    return counts, int(np.maximum.reduceat(counts, starts).sum())


def _sizes(values: IntArray) -> IntArray:
    return np.unique(values, return_counts=True)[1]


def _num_pairs(sizes: IntArray) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
