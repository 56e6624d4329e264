"""How far two labelings of the same images agree: adjusted mutual information.

Vinh, Epps and Bailey, "Information Theoretic Measures for Clusterings Comparison", JMLR 2010 (AMI with the
arithmetic mean). scikit-learn sums the expectation over every pair of clusters, which takes minutes when thousands of
outliers are singletons; pairs of clusters of the same two sizes have the same term, so here it is summed once
for each pair of *sizes*. [ours]
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.guards import label_array
from itkm_core.errors import LabelError
from itkm_core.neighbors.kernels import Array, kernel


def agreement(labels_a: npt.ArrayLike, labels_b: npt.ArrayLike) -> float:
    """AMI of two labelings, int [N] each, -1 for outliers: 1 for the same partition, about 0 for unrelated ones.

    Each outlier counts as a separate cluster [ours]: an image that joins or leaves a cluster lowers the agreement,
    which leaving outliers out would hide. Two labelings of no images agree (1).

    Raises LabelError for labelings of different lengths or not of integers.
    """
    a, b = _partition(labels_a), _partition(labels_b)
    if len(a) != len(b):
        raise LabelError(f"labelings have {len(a)} and {len(b)} images; expected the same images")
    if not len(a):
        return 1.0
    sizes_a, sizes_b = np.bincount(a), np.bincount(b)
    both = np.unique(a.astype(np.int64) * len(sizes_b) + b, return_counts=True)[1]
    if len(both) == len(sizes_a) == len(sizes_b):
        return 1.0  # the same partition, also where the formula is 0 / 0
    entropy_a, entropy_b, joint = _entropy(sizes_a), _entropy(sizes_b), _entropy(both)
    expected = _expected_information(
        *np.unique(sizes_a, return_counts=True),
        *np.unique(sizes_b, return_counts=True),
        _log_factorials(len(a)),
    )
    ceiling = (entropy_a + entropy_b) / 2 - expected
    # Unequal partitions whose information is all expected (one cluster against singletons): no agreement.
    if ceiling < 1e-12:
        return 0.0
    return float((entropy_a + entropy_b - joint - expected) / ceiling)


def _partition(labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Cluster numbers 0.. without gaps, each outlier a separate one."""
    own = label_array(labels).astype(np.int64)
    outliers = own < 0
    own[outliers] = own.max(initial=-1) + 1 + np.arange(outliers.sum())
    numbers: npt.NDArray[np.int64] = np.unique(own, return_inverse=True)[1]
    return numbers


def _entropy(sizes: npt.NDArray[np.int64]) -> float:
    share = sizes / sizes.sum()
    return float(-(share * np.log(share)).sum())


def _log_factorials(highest: int) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, highest + 1)))])


@kernel
def _expected_information(
    sizes_a: Array, counts_a: Array, sizes_b: Array, counts_b: Array, log_factorials: Array
) -> float:
    """Expected mutual information; the paper's sum over pairs of clusters, over pairs of distinct sizes."""
    n = log_factorials.size - 1
    lf = log_factorials
    expected = 0.0
    for x in range(sizes_a.size):
        for y in range(sizes_b.size):
            a = sizes_a[x]
            b = sizes_b[y]
            fixed = lf[a] + lf[b] + lf[n - a] + lf[n - b] - lf[n]
            term = 0.0
            for shared in range(max(1, a + b - n), min(a, b) + 1):
                ways = lf[shared] + lf[a - shared] + lf[b - shared] + lf[n - a - b + shared]
                information = math.log(n) + math.log(shared) - math.log(a) - math.log(b)
                term += shared / n * information * math.exp(fixed - ways)
            expected += term * counts_a[x] * counts_b[y]
    return expected
