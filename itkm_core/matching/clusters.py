"""Cluster-level heterogeneous matching (CHM): which clusters of the two groups of a scenario are one person.

docs/definition.md, "CHM". The affinity of two clusters is A = beta cos(c_a, c_b) + (1 - beta) cos(T_a, T_b).
It is the cosine of the joined rows [sqrt(beta) c, sqrt(1 - beta) T], which are of unit norm as well: so one
neighbour search finds the best candidates by A itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError, FeatureError
from itkm_core.matching.assignment import (
    Affinities,
    DenseAffinities,
    SparseAffinities,
    progressive,
)
from itkm_core.matching.chance import chance_of_gap
from itkm_core.neighbors.csr import Csr, csr_of_pairs
from itkm_core.neighbors.similarity import listed_cosines
from itkm_core.neighbors.unit_rows import unit_rows

Rows = npt.NDArray[np.float32]

NULL_SIZE = 15
"""Affinities of a cluster from which the gap of the highest is judged. [ours]"""


@dataclass(frozen=True)
class ClusterMatches:
    """Matched clusters (a of g = 0, b of g = 1) of one scenario, n pairs.

    `pairs` int64 [n, 2] sorted by (a, b): every cluster of both sides occurs unless one side is empty; those of
    the larger side once (by the sparse method a few more often), those of the smaller side as often as needed.
    `affinity` float32 [n]: A of each pair. `reliable` bool [n]: affinity >= `threshold`, and mutual where
    asked; or as `chance` says.
    `mutual` bool [n]: each is the other's cluster of highest affinity (ties to the lower number).
    `num_clusters`: (K0, K1). `threshold`: the quantile of all matched affinities; NaN without a pair, and where
    `chance` decides.
    `method`: "dense" (the whole K0 x K1), "sparse" (candidates), or "empty" (a side has no cluster).
    """

    pairs: npt.NDArray[np.int64]
    affinity: npt.NDArray[np.float32]
    reliable: npt.NDArray[np.bool_]
    mutual: npt.NDArray[np.bool_]
    num_clusters: tuple[int, int]
    threshold: float
    method: Literal["dense", "sparse", "empty"]

    def targets(self, side: int) -> Csr:
        """The reliable partners of each cluster of `side` (0 or 1), ascending; indices int64, indptr [K_side + 1].

        A cluster without a reliable partner has an empty list.
        """
        kept = self.pairs[self.reliable]
        return csr_of_pairs(kept[:, side], kept[:, 1 - side], self.num_clusters[side])


def match_clusters(
    centroids_0: Any,
    centroids_1: Any,
    text_0: Any = None,
    text_1: Any = None,
    *,
    image_weight: float = 0.5,
    quantile: float = 0.2,
    mutual_only: bool = False,
    chance: float | None = None,
    dense_limit: int = 5000,
    candidates: int = 50,
    num_threads: int | None = None,
) -> ClusterMatches:
    """Match the clusters of g = 0 and g = 1 by progressive minimum-cost matching of their affinities.

    `centroids_g` [K_g, D] and `text_g` [K_g, D'] (T of each cluster): unit rows; both texts or neither.
    `image_weight`: beta in [0, 1] [ours]; without text it is 1 whatever is given.
    `quantile`: q in [0, 1]: a pair is reliable if its affinity is at least the q-quantile (linear) of all matched
    affinities [ours].
    `mutual_only`: a reliable pair is also each other's best [ours]; docs/method.md has what that gains.
    `chance`: in [0, 1]: a pair is instead reliable if it is each other's best and `pair_chance` is at most this:
    where nobody stands out, no pair is. `quantile` is not read then. [ours]
    `dense_limit`: with more clusters than this on a side, pairs are sought among each cluster's `candidates`
    nearest opposite clusters, both directions united, and memory is O((K0 + K1) candidates); up to it, and where
    the smaller side has no more than `candidates` clusters, among all K0 x K1.
    `num_threads`: of the candidate search; the result does not depend on it.

    Deterministic. Equal affinities, to within TIE_BONUS, go to the lower numbers and keep the order of the
    numbers [ours]. K0 = 0 or K1 = 0 gives no pair.

    Source: docs/definition.md, "CHM"; progressive matching of Wu and Ye, CVPR 2023.

    Raises FeatureError for rows that are unusable or do not fit each other, ConfigError for a parameter out of
    range or one text without the other.
    """
    _check_parameters(image_weight, quantile, chance, dense_limit, candidates)
    rows_0, rows_1 = _joined(centroids_0, centroids_1, text_0, text_1, image_weight)
    sizes = len(rows_0), len(rows_1)
    if not min(sizes):
        none = np.zeros(0, bool)
        pairs = np.zeros((0, 2), np.int64)
        return ClusterMatches(pairs, np.zeros(0, np.float32), none, none, sizes, math.nan, "empty")
    sparse = max(sizes) > dense_limit and min(sizes) > candidates
    affinities: Affinities = (
        SparseAffinities(rows_0, rows_1, candidates, num_threads=num_threads)
        if sparse
        else DenseAffinities(rows_0, rows_1)
    )
    pairs = progressive(affinities)
    exact = listed_cosines(rows_0[pairs[:, 0]], rows_1, pairs[:, 1:], 0, len(pairs))
    # The rounded values are what is stored and compared: so anyone who has them finds the same pairs reliable.
    affinity = exact[:, 0].astype(np.float32)
    threshold = float(np.quantile(affinity.astype(np.float64), quantile))
    best_of_0, best_of_1 = affinities.best(0), affinities.best(1)
    mutual = (best_of_0[pairs[:, 0]] == pairs[:, 1]) & (best_of_1[pairs[:, 1]] == pairs[:, 0])
    if chance is None:
        reliable = (affinity >= threshold) & (mutual | (not mutual_only))
    else:
        reliable = mutual & (pair_chance(affinities, pairs) <= chance)
        threshold = math.nan
    return ClusterMatches(
        pairs,
        affinity,
        reliable,
        mutual,
        sizes,
        threshold,
        "sparse" if sparse else "dense",
    )


def pair_chance(affinities: Affinities, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How likely strangers alone stand out as each pair's best does, float64 [n]; what is mutual best is meant.

    The geometric mean of `chance_of_gap` of both clusters, over the NULL_SIZE highest affinities of each; 1 where a
    side has fewer than three clusters, of which nobody can stand out.
    """
    sizes = affinities.num_clusters
    if min(sizes) < 3:
        return np.ones(len(pairs))
    of_side = [
        chance_of_gap(affinities.largest(side, min(NULL_SIZE, sizes[1 - side]))) for side in (0, 1)
    ]
    found: npt.NDArray[np.float64] = np.sqrt(of_side[0][pairs[:, 0]] * of_side[1][pairs[:, 1]])
    return found


def _joined(
    centroids_0: Any, centroids_1: Any, text_0: Any, text_1: Any, image_weight: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The rows whose cosine is the affinity, float32 [K_g, D + D'] (or [K_g, D] without text)."""
    images = unit_rows(centroids_0), unit_rows(centroids_1)
    check_columns(*images, "centroids")
    if image_weight == 1:
        check_both(text_0, text_1)
        return images
    texts = texts_of(images, text_0, text_1, "centroids", "cluster")
    if texts is None:
        return images
    return (
        joined_rows(images[0], texts[0], image_weight),
        joined_rows(images[1], texts[1], image_weight),
    )


def joined_rows(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.float32]:
    """Rows [K, D + D'] whose cosine is share cos(first) + (1 - share) cos(second); unit rows [K, D] and [K, D']."""
    scales = np.float32(share**0.5), np.float32((1 - share) ** 0.5)
    return np.concatenate([scales[0] * first, scales[1] * second], axis=1)


def texts_of(
    sides: tuple[Rows, Rows], text_0: Any, text_1: Any, what: str, one: str
) -> tuple[Rows, Rows] | None:
    """The texts of both sides as unit rows, None where there are none; `what` the sides are, `one` of them.

    Raises FeatureError for texts that do not fit the sides, ConfigError for one text without the other.
    """
    check_both(text_0, text_1)
    if text_0 is None:
        return None
    texts = unit_rows(text_0), unit_rows(text_1)
    check_columns(*texts, "texts")
    for side in (0, 1):
        if len(texts[side]) != len(sides[side]):
            raise FeatureError(
                f"side {side} has {len(texts[side])} texts for {len(sides[side])} {what}; expected one per {one}"
            )
    return texts


def check_both(text_0: Any, text_1: Any) -> None:
    """ConfigError for one text without the other."""
    if (text_0 is None) != (text_1 is None):
        missing = "text_0" if text_0 is None else "text_1"
        raise ConfigError(f"{missing} is missing; expected the text of both sides or of neither")


def check_columns(rows_0: npt.NDArray[Any], rows_1: npt.NDArray[Any], what: str) -> None:
    """FeatureError unless both sides' vectors are of one dimension; an empty side fits any."""
    if len(rows_0) and len(rows_1) and rows_0.shape[1] != rows_1.shape[1]:
        raise FeatureError(
            f"{what} have {rows_0.shape[1]} columns in g = 0 and {rows_1.shape[1]} in g = 1; "
            "expected vectors of one encoder"
        )


def _check_parameters(
    image_weight: float, quantile: float, chance: float | None, dense_limit: int, candidates: int
) -> None:
    shares = {"image_weight": image_weight, "quantile": quantile}
    shares |= {} if chance is None else {"chance": chance}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} is {share!r}; expected a number from 0 to 1")
    for name, number, least in (("dense_limit", dense_limit, 0), ("candidates", candidates, 1)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ConfigError(f"{name} is {number!r}; expected an integer of at least {least}")
