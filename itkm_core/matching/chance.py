"""Could the best match be chance? A null for affinities, from the affinities themselves. [ours]

docs/definition.md, "CHM". Where a cluster's person is not on the other side, its affinities there are those of
strangers, and the best of them is a stranger's. Of the m largest values s_1 >= ... >= s_m of a sample whose tail is
exponential, the normalised spacings k (s_k - s_{k+1}) are independent with one mean (Renyi, "On the theory of order
statistics", 1953), and those from k = 2 on tell that mean whoever is first. So the gap of the first, s_1 - s_2, has a
known distribution if it is a stranger too: p = (1 + (s_1 - s_2) / sum_{k=2}^{m-1} k (s_k - s_{k+1}))^-(m-2).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def chance_of_gap(largest: npt.ArrayLike) -> Floats:
    """How likely strangers alone leave a gap as wide as between the best affinity and the second best.

    largest: [K, m], the m >= 3 largest affinities of each of K clusters, falling.

    Returns float64 [K] in [0, 1]; 1 where the first two are equal.
    """
    values = np.asarray(largest, np.float64)
    spacings = values[:, :-1] - values[:, 1:]
    ranks = np.arange(1, spacings.shape[1] + 1)
    others = (spacings * ranks)[:, 1:].sum(axis=1)
    first = spacings[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(first > 0, first / others, 0.0)
    return (1.0 + ratio) ** -(spacings.shape[1] - 1)


def mutual_by_chance(sizes: tuple[int, int], chance: float) -> float:
    """About how many pairs of K0 and K1 strangers are each other's best with a chance of at most `chance`.

    Of independent affinities K0 K1 / (K0 + K1 - 1) pairs are mutual best; the geometric mean of two even draws is at
    most t with probability t^2 (1 - 2 ln t). To be mutual best favours a wide gap (up to half as many again), thin
    tails, as cosines have, a narrow one (a third fewer, in docs/method.md). As many are expected among the reliable
    matches where everyone is on one side only; where people are on both, fewer clusters are left for it.
    """
    if min(sizes) < 1 or chance <= 0:
        return 0.0
    mutual = sizes[0] * sizes[1] / (sizes[0] + sizes[1] - 1)
    return float(mutual * chance**2 * (1 - 2 * math.log(chance)))
