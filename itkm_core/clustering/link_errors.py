"""How wrong labels are, by what trackers know: docs/definition.md, "Errors without identities".

Each unit is divided into the first and the second half of its images, and the halves are labelled without any link
between them. False merges are measured on pairs of units that are apart, false splits on the two halves of a unit. A
group has twice as many halves as units, so k1 and k2 count twice. [ours]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.jaccard import jaccard_graph
from itkm_core.clustering.linked_dbscan import linked_dbscan
from itkm_core.clustering.linked_graph import Ints, linked_graph
from itkm_core.clustering.options import LabelOptions
from itkm_core.links.means import unit_vectors
from itkm_core.links.units import Links
from itkm_core.neighbors.groups import number_in_order
from itkm_core.neighbors.nearest import nearest
from itkm_core.neighbors.workers import Workers


@dataclass(frozen=True)
class LinkErrors:
    """`merge`: the share of pairs of units apart whose halves are in one cluster, None without such pairs. `split`: the
    share of units of several images whose halves are not in one cluster, None without such units. Both in [0, 1]."""

    merge: float | None
    split: float | None

    @property
    def total(self) -> float | None:
        """The sum, None if either is not known: labels that merge or split everything have 1."""
        return None if self.merge is None or self.split is None else self.merge + self.split

    def in_words(self) -> str:
        merge, split = (0.0 if each is None else each for each in (self.merge, self.split))
        return f"false merges {merge:.2%}, false splits {split:.2%} by tracklets"

    def summary(self) -> dict[str, float | None]:
        return {"merge_errors": self.merge, "split_errors": self.split}


def link_errors(
    rows: npt.NDArray[np.float32],
    links: Links,
    options: LabelOptions,
    *,
    eps_values: Sequence[float],
    workers: Workers,
) -> dict[tuple[int, float], LinkErrors]:
    """The errors of each k1 that the options allow, at each eps, from unit rows [N, D] in order of sample id.

    One search, for the longest lists, serves them all.
    """
    each = [options.with_k1(k1) for k1 in options.k1_candidates] or [options]
    half_of, unit_of_half = halves(links.unit_of)
    if not len(links.apart) and len(unit_of_half) == links.num_units:
        return {(one.k1, eps): LinkErrors(None, None) for one in each for eps in eps_values}
    vectors = unit_vectors(rows, half_of)
    num = len(vectors)
    frames = np.bincount(half_of, minlength=num)
    nothing = np.zeros((0, 2), np.int64)
    longest = min(2 * options.k1, num)
    near = nearest(
        vectors, longest, backend=options.backend, recall=options.recall, workers=workers
    )
    found = {}
    for one in each:
        lists = np.ascontiguousarray(near.indices[:, : 2 * one.k1])
        k2 = min(2 * one.k2, lists.shape[1])
        graph = jaccard_graph(vectors, lists, k2=k2, max_distance=max(eps_values), workers=workers)
        linked = linked_graph(graph, frames, nothing)
        for eps in eps_values:
            labels = linked_dbscan(
                linked, frames, eps=eps, min_samples=one.min_samples, alone=links.alone
            ).labels
            found[one.k1, eps] = errors_of(labels, unit_of_half, links.apart)
    return found


def halves(unit_of: Ints) -> tuple[Ints, Ints]:
    """The half of each image, int64 [N], numbered in order of first member, and the unit of each half, int64 [H]."""
    order = np.argsort(unit_of, kind="stable")
    sizes = np.bincount(unit_of)
    start = np.cumsum(sizes) - sizes
    place = np.empty(len(unit_of), np.int64)
    place[order] = np.arange(len(unit_of)) - np.repeat(start, sizes)
    later = place >= (sizes[unit_of] + 1) // 2
    number, first = number_in_order(unit_of, later)
    return number, unit_of[first]


def errors_of(labels: Ints, unit_of_half: Ints, apart: Ints) -> LinkErrors:
    """The errors of labels of halves, int64 [H]."""
    num = int(unit_of_half.max(initial=-1)) + 1
    order = np.argsort(unit_of_half, kind="stable")
    of_unit = unit_of_half[order]
    first = order[np.searchsorted(of_unit, np.arange(num))]
    last = order[np.searchsorted(of_unit, np.arange(num), side="right") - 1]
    several = first != last
    whole = (labels[first] == labels[last]) & (labels[first] >= 0)
    both = np.stack([labels[first], labels[last]], axis=1)
    mine, theirs = both[apart[:, 0]], both[apart[:, 1]]
    together = (mine[:, :, None] == theirs[:, None, :]) & (mine[:, :, None] >= 0)
    return LinkErrors(
        float(together.mean()) if len(apart) else None,
        float(1 - whole[several].mean()) if several.any() else None,
    )
