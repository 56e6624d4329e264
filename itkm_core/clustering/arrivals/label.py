"""Labels for images that arrive later: clusters of known images, or new ones; no known label moves. [ours]

Step 1 of docs/definition.md, "Pseudo-labels" is updated for all images without a search among the known ones
(`lists.py`). Steps 2 to 4 are computed for all images, so the Jaccard graph is that of labelling everything again, and
step 5 is done for the new images only (`rule.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.arrivals.lists import join_lists
from itkm_core.clustering.arrivals.rule import place_new
from itkm_core.clustering.arrivals.units import place_units
from itkm_core.clustering.footprint import check_memory, estimate_memory, free_memory
from itkm_core.clustering.jaccard import jaccard_graph
from itkm_core.clustering.linked_graph import linked_graph
from itkm_core.clustering.options import LabelOptions, check_eps
from itkm_core.clustering.pseudo_labels import order_of
from itkm_core.errors import FeatureError
from itkm_core.links.means import unit_vectors
from itkm_core.links.units import Links
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.lookup import MAX_ID
from itkm_core.neighbors.products import readable
from itkm_core.neighbors.search import resolve_backend
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Threads, Workers


@dataclass(frozen=True)
class Known:
    """Images of one (scenario, group) that have labels, in rising order of sample id, and their neighbours.

    `sample_ids` int64 [N]; `rows` float32 [N, D], as they were compared; `lists` int32 [N, min(k1, N)], the step 1
    of docs/definition.md, "Pseudo-labels"; `labels` int64 [N]; `is_core` bool [N]. `frames` int64 [N]: where these are
    units of several images each, how many; a unit has the sample id of its first.
    """

    sample_ids: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float32]
    lists: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int64]
    is_core: npt.NDArray[np.bool_]
    frames: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Arrivals:
    """What `label_arrivals` found, in the order of its input rows.

    `labels` int64 [M]: -1 for an outlier, a known cluster's, or from `num_known_clusters` on a new one's, numbered in
    order of first member. `is_core` bool [M], `confidence` float32 [M]: as in `PseudoLabels`, among all images.
    `known`: all N + M images, for those that arrive next. `parameters`: plain JSON values; those of
    `PseudoLabels`, `num_known` (images), `num_joined` (images that got a known label), `new_clusters`,
    `would_merge` (pairs of clusters that labelling everything again would join, since a core image of each, one of the
    two new, lie within eps of each other) and `outliers_near` (known outliers within eps of a new core image).
    """

    labels: npt.NDArray[np.int64]
    is_core: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float32]
    num_known_clusters: int
    known: Known
    parameters: dict[str, Any]


def label_arrivals(
    known: Known,
    features: Any,
    options: LabelOptions,
    *,
    sample_ids: npt.ArrayLike | None = None,
    workers: Workers | None = None,
    links: Links | None = None,
) -> Arrivals:
    """Label `features` [M, D] against `known`, which was labelled with these options at their eps.

    `sample_ids` int [M], none of them known; without them numbering continues after the largest known one. With exact
    neighbours, and where no core image and no cluster of the known images would change, the labels are those of
    labelling everything again. Costs 2 N M + M^2 products, and N + M rows of the steps after the search.

    `links`: what is known of the new images, in their order; then units are placed, and known images are units.

    Raises ConfigError for `eps: auto`, FeatureError for unusable rows, rows of another dimension, repeated or known
    sample ids, and lists that do not fit k1.
    """
    eps = check_eps(options.eps)
    by: Workers = workers or Threads(thread_count())
    rows = unit_rows(features)
    if sample_ids is None:
        last = int(known.sample_ids.max(initial=-1))
        if last + len(rows) > MAX_ID:
            raise FeatureError(
                f"numbering cannot continue after sample id {last}: {MAX_ID} is the largest; give sample_ids"
            )
        sample_ids = last + 1 + np.arange(len(rows))
    order = order_of(sample_ids, len(rows))
    ids = np.asarray(sample_ids).astype(np.int64)
    back = slice(None) if order is None else np.argsort(order)
    if order is not None:
        ids, rows = ids[order], rows[order]
    _check_fit(known, ids, rows, options.k1)
    linked = known.frames is not None or (links is not None and not links.say_nothing)
    unit_of = np.arange(len(rows))
    apart, frames = np.zeros((0, 2), np.int64), None
    alone = options.min_samples if links is None else links.alone
    if linked:
        links = Links(unit_of, apart, alone) if links is None else links
        links = links if order is None else links.take(order)
        unit_of, apart = links.unit_of, links.apart
        rows = unit_vectors(rows, unit_of)
        ids = ids[np.unique(unit_of, return_index=True)[1]]
        frames = np.bincount(unit_of, minlength=len(rows))
    num_known, num_all = len(known.rows), len(known.rows) + len(rows)
    k1, k2 = options.used_for(num_all)
    num_clusters = int(known.labels.max(initial=-1)) + 1
    parameters: dict[str, Any] = {
        **options.record(),
        "eps": float(eps),
        "num_images": len(unit_of),
        "num_known": num_known if known.frames is None else int(known.frames.sum()),
        "k1_used": int(k1),
        "k2_used": int(k2),
    }
    if not len(rows):
        nothing = {"num_joined": 0, "new_clusters": 0, "would_merge": [], "outliers_near": 0}
        none = np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, np.float32)
        return Arrivals(*none, num_clusters, known, {**parameters, **nothing})
    needed = estimate_memory(
        num_all,
        rows.shape[1],
        k1=k1,
        k2=k2,
        backend=resolve_backend(options.backend, num_all, by.device),
        divided=not isinstance(by, Threads),
    )
    check_memory(needed, free_memory(), num_images=num_all, k1=k1)
    # Kernels are compiled again for read-only arrays, such as those of a memory-mapped file.
    joined = join_lists(
        (known.sample_ids, readable(known.rows), known.lists),
        (ids, readable(rows)),
        options.k1,
        backend=options.backend,
        recall=options.recall,
        workers=by,
    )
    graph = jaccard_graph(joined.rows, joined.lists, k2=k2, max_distance=eps, workers=by)
    is_new = np.zeros(num_all, bool)
    is_new[joined.new_at] = True
    labels, is_core = np.full(num_all, -1), np.zeros(num_all, bool)
    labels[joined.known_at], is_core[joined.known_at] = known.labels, known.is_core
    all_frames = None
    if frames is None:
        placed = place_new(graph, labels, is_core, is_new, eps=eps, min_samples=options.min_samples)
    else:
        all_frames = np.empty(num_all, np.int64)
        all_frames[joined.known_at] = 1 if known.frames is None else known.frames
        all_frames[joined.new_at] = frames
        pairs = joined.new_at[apart].astype(np.int64)
        placed = place_units(
            linked_graph(graph, all_frames, pairs),
            all_frames,
            pairs,
            labels,
            is_core,
            is_new,
            eps=eps,
            min_samples=options.min_samples,
            alone=alone,
        )
    mine = placed.labels[joined.new_at][unit_of]
    all_ids = np.empty(num_all, np.int64)
    all_ids[joined.known_at], all_ids[joined.new_at] = known.sample_ids, ids
    parameters |= {
        "backend_used": joined.backend,
        "recall_used": joined.recall,
        "num_joined": int(((mine >= 0) & (mine < num_clusters)).sum()),
        "new_clusters": max(int(mine.max()) + 1 - num_clusters, 0),
        "would_merge": placed.touching.tolist(),
        "outliers_near": placed.outliers_near,
    }
    return Arrivals(
        mine[back],
        placed.is_core[joined.new_at][unit_of][back],
        placed.confidence[joined.new_at][unit_of][back],
        num_clusters,
        Known(all_ids, joined.rows, joined.lists, placed.labels, placed.is_core, all_frames),
        parameters,
    )


def _check_fit(
    known: Known, ids: npt.NDArray[np.int64], rows: npt.NDArray[np.float32], k1: int
) -> None:
    if rows.shape[1] != known.rows.shape[1]:
        raise FeatureError(
            f"new features have {rows.shape[1]} columns and the known ones {known.rows.shape[1]}; "
            "expected vectors of one encoder"
        )
    width = min(k1, len(known.rows))
    if known.lists.shape != (len(known.rows), width):
        raise FeatureError(
            f"the known images' neighbour lists have shape {known.lists.shape}; with k1 = {k1} expected "
            f"{(len(known.rows), width)}"
        )
    both = np.intersect1d(known.sample_ids, ids, assume_unique=True)
    if len(both):
        raise FeatureError(
            f"{len(both)} sample ids are those of known images, the first is {both[0]}; expected ids "
            "that no known image has"
        )
