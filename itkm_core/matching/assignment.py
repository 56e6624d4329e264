"""Progressive bipartite matching of two sides, on the whole affinity matrix or on each cluster's best candidates.

Wu and Ye, "Unsupervised Visible-Infrared Person Re-Identification via Progressive Graph Matching and Alternate
Learning", CVPR 2023: a minimum-cost matching pairs each cluster of the smaller side once; what is left of the
larger side is matched to the whole smaller side again, until every cluster has a partner.

Suffixes: K0, K1 clusters, m candidates a cluster, E candidate pairs, R clusters in a round.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from itkm_core.neighbors.nearest import nearest_across

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

TIE_BONUS = 1e-7
"""What being first is worth in affinity, at most: about the rounding of a float32 cosine, so it decides among
equal affinities and nothing else. [ours]"""

COST_OF_AFFINITY_0 = 2.0
"""Cost is this minus the affinity: above 0, for scipy takes a stored 0 for an absent pair."""

COST_OF_WAITING = 4.0
"""More than any pair costs (at most about 3): a cluster waits for the next round only where every candidate is
taken by one that would lose more. [ours]"""


class Affinities(Protocol):
    """What `progressive` needs of the affinities of two sides."""

    num_clusters: tuple[int, int]

    def assign(self, side: int, waiting: Numbers) -> tuple[Numbers, Numbers]:
        """Of clusters `waiting` int64 [R] of `side`, those matched in one round and their distinct partners.

        At least one is matched if R > 0.
        """
        ...

    def best(self, side: int) -> Numbers:
        """The opposite cluster of highest affinity of each cluster of `side`, int64 [K_side]."""
        ...

    def largest(self, side: int, count: int) -> Floats:
        """The `count` highest affinities of each cluster of `side`, falling, float64 [K_side, count]."""
        ...


class DenseAffinities:
    """All K0 x K1 affinities, float64. The matching of every round is the best one."""

    def __init__(self, rows_0: Rows, rows_1: Rows) -> None:
        scores = rows_0.astype(np.float64) @ rows_1.astype(np.float64).T
        bonus = _rank_bonus(len(rows_0))[:, None] * _rank_bonus(len(rows_1))
        self.num_clusters = len(rows_0), len(rows_1)
        self._scores = scores + TIE_BONUS * bonus

    def assign(self, side: int, waiting: Numbers) -> tuple[Numbers, Numbers]:
        scores = self._scores if side == 0 else self._scores.T
        rows, columns = linear_sum_assignment(scores[waiting], maximize=True)
        return waiting[rows], columns.astype(np.int64)

    def best(self, side: int) -> Numbers:
        return self._scores.argmax(axis=1 - side).astype(np.int64)

    def largest(self, side: int, count: int) -> Floats:
        scores = self._scores if side == 0 else self._scores.T
        kept = np.partition(scores, scores.shape[1] - count, axis=1)[:, scores.shape[1] - count :]
        return -np.sort(-kept, axis=1)


class SparseAffinities:
    """The affinities of each cluster with its m nearest opposite clusters, both directions united: E <= m (K0 + K1).

    A round's matching is the best one among those pairs that leaves a cluster waiting only where it must.
    On 2,000 noisy pairs 50 candidates give the very pairs of the whole matrix; where the sides lie so far apart
    that all crowd around a few, 94 % of its total affinity.
    """

    def __init__(
        self, rows_0: Rows, rows_1: Rows, candidates: int, *, num_threads: int | None = None
    ) -> None:
        sizes = len(rows_0), len(rows_1)
        forth = nearest_across(rows_0, rows_1, min(candidates, sizes[1]), num_threads=num_threads)
        back = nearest_across(rows_1, rows_0, min(candidates, sizes[0]), num_threads=num_threads)
        self.num_clusters = sizes
        self._nearest = forth.similarities, back.similarities
        self._best = forth.indices[:, 0].astype(np.int64), back.indices[:, 0].astype(np.int64)
        a = np.concatenate([_repeat(sizes[0], forth.indices), back.indices.ravel()])
        b = np.concatenate([forth.indices.ravel(), _repeat(sizes[1], back.indices)])
        affinity = np.concatenate([forth.similarities.ravel(), back.similarities.ravel()])
        # A pair found from both sides has one cosine, the same to the last bit.
        _, once = np.unique(a.astype(np.int64) * sizes[1] + b, return_index=True)
        a, b = a[once], b[once]
        bonus = _rank_bonus(sizes[0])[a] * _rank_bonus(sizes[1])[b]
        cost = COST_OF_AFFINITY_0 - affinity[once].astype(np.float64) - TIE_BONUS * bonus
        forward = sparse.csr_array((cost, (a, b)), shape=sizes)
        self._cost = forward, forward.T.tocsr()

    def assign(self, side: int, waiting: Numbers) -> tuple[Numbers, Numbers]:
        cost = self._cost[side][waiting]
        candidates = np.unique(cost.indices)
        cost = cost[:, candidates]
        # Searched from the smaller side: from the larger one most searches would end in waiting.
        turned = cost.shape[0] > cost.shape[1]
        rows, columns = _match_or_wait(cost.T.tocsr() if turned else cost)
        if turned:
            order = np.argsort(columns)
            rows, columns = columns[order], rows[order]
        return waiting[rows], candidates[columns].astype(np.int64)

    def best(self, side: int) -> Numbers:
        return self._best[side]

    def largest(self, side: int, count: int) -> Floats:
        return self._nearest[side][:, :count].astype(np.float64)


def progressive(affinities: Affinities) -> npt.NDArray[np.int64]:
    """Pairs (a, b) int64 [n, 2], sorted, in which every cluster of either side occurs; both sides non-empty.

    Each round matches the larger side's clusters that wait to distinct clusters of the whole smaller side. On
    the whole matrix the larger side's clusters then occur once each. Among candidates a cluster of the smaller
    side can be left over when others took all of its candidates: it is matched to the whole larger side in the
    same way. [ours]
    """
    larger = int(affinities.num_clusters[1] > affinities.num_clusters[0])
    found = [np.zeros((0, 2), np.int64)]
    for side in (larger, 1 - larger):
        seen = np.concatenate(found)[:, side]
        waiting = np.setdiff1d(np.arange(affinities.num_clusters[side]), seen)
        while len(waiting):
            matched, partners = affinities.assign(side, waiting)
            assert len(matched), "every cluster has a candidate, so a round matches at least one"
            pair = (matched, partners) if side == 0 else (partners, matched)
            found.append(np.stack(pair, axis=1))
            waiting = np.setdiff1d(waiting, matched)
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _match_or_wait(cost: sparse.csr_array) -> tuple[Numbers, Numbers]:
    """Rows and columns of the cheapest matching of `cost` [R, K] in which a row may wait at COST_OF_WAITING.

    Each row gets a separate column to wait in, so that the full matching that scipy requires exists.
    """
    num_rows, num_columns = cost.shape
    wait = sparse.diags_array(np.full(num_rows, COST_OF_WAITING), format="csr")
    rows, columns = min_weight_full_bipartite_matching(sparse.hstack([cost, wait], format="csr"))
    real = columns < num_columns
    return rows[real].astype(np.int64), columns[real].astype(np.int64)


def _rank_bonus(num_clusters: int) -> npt.NDArray[np.float64]:
    """1 for cluster 0 down to almost 0 for the last: the product for two sides is highest on low numbers, and of
    two ways to pair the same four clusters higher for the one that keeps their order."""
    return 1 - np.arange(num_clusters) / max(num_clusters, 1)


def _repeat(num_rows: int, lists: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return np.repeat(np.arange(num_rows, dtype=np.int32), lists.shape[1])
