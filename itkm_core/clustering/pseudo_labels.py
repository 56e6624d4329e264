"""Features of one (scenario, group) to pseudo-labels: docs/definition.md, "Pseudo-labels"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.cuml_dbscan import check_cuml, cuml_dbscan, fits_device
from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.dbscan import dbscan as sparse_dbscan
from itkm_core.clustering.footprint import check_memory, estimate_memory, free_memory
from itkm_core.clustering.jaccard import JaccardGraph, jaccard_graph
from itkm_core.clustering.options import LabelOptions, check_eps
from itkm_core.errors import FeatureError
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.lists import RECALL
from itkm_core.neighbors.lookup import as_int64
from itkm_core.neighbors.nearest import nearest
from itkm_core.neighbors.search import resolve_backend
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Threads, Workers


@dataclass(frozen=True)
class PseudoLabels:
    """What one call of `pseudo_label` found, in the order of its input rows.

    `labels` int64 [N]: -1 for an outlier, else 0..num_clusters-1, numbered in order of first member.
    `is_core` bool [N]: has min_samples images within eps, itself counted.
    `confidence` float32 [N] in [0, 1]: mean Jaccard similarity to the core images near it in its cluster; 0 for
    an outlier. [ours]
    `parameters`: what was asked and, as `k1_used`, `k2_used`, `backend_used`, `recall_used`, what was done; plain JSON
    values. `neighbors` int32 [N, k1_used]: the lists of step 1, which with images that arrive later need not be found
    again: of the images in rising order of sample id, as places in that order.
    """

    labels: npt.NDArray[np.int64]
    is_core: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float32]
    num_clusters: int
    parameters: dict[str, Any]
    neighbors: npt.NDArray[np.int32]


def pseudo_label(
    features: Any,
    *,
    k1: int = 30,
    k2: int = 6,
    eps: float = 0.6,
    min_samples: int = 4,
    backend: str = "auto",
    recall: float = RECALL,
    dbscan: str = "sparse",
    sample_ids: npt.ArrayLike | None = None,
    num_threads: int | None = None,
    workers: Workers | None = None,
) -> PseudoLabels:
    """Cluster images by k-reciprocal Jaccard distance and DBSCAN, without an N x N array.

    `features` [N, D]: rows of unit norm, float32; float16, float64 and non-contiguous arrays are converted.
    `k1`: length of the neighbour lists, the image itself counted; with N < k1 it is N (and k2 at most that),
    which warns. `k2`: list entries averaged in the query expansion; 1 switches it off.
    `eps`: Jaccard distance of neighbours, in (0, 1). `min_samples`: neighbours of a core image, itself counted.
    `backend`, `recall`: how neighbours are found, as in `nearest`; "faiss-flat" and "torch" are exact and give the
    same labels, "ivf" finds `recall` of the neighbours, "auto" is exact below 200,000 images.
    `dbscan`: "sparse", or "cuml" for cuML's where `workers` has a CUDA device that holds the dense N x N matrix, and
    else sparse; both give the same labels.
    `sample_ids` int [N], unique: the order of images that decides ties and numbers the labels; without them it
    is the order of rows. With them, permuted rows give the same labels, bit for bit. Without them a permutation
    gives the same partition unless rows tie exactly (copies of one image beyond k1).
    `num_threads`: default OMP_NUM_THREADS, else all usable cores. `workers`: who computes, in place of this process's
    threads (`itkm_core.neighbors.workers`). The result depends on neither.

    N = 0 gives empty arrays. The source of each step is named in its module; where border images go and the
    confidence are [ours].

    Raises ConfigError for a parameter out of range, FeatureError for rows that are not finite or not of unit
    norm, and for sample ids that are missing or repeated.
    """
    options = LabelOptions(
        k1=k1,
        k2=k2,
        eps=check_eps(eps),
        min_samples=min_samples,
        backend=backend,
        recall=recall,
        dbscan=dbscan,
    )
    by: Workers = workers or Threads(thread_count(num_threads))
    return jaccard_space(features, options, sample_ids=sample_ids, workers=by).labels_at(eps)


@dataclass(frozen=True)
class JaccardSpace:
    """Everything that does not depend on eps: computed once, clustered at any eps up to the graph's `max_distance`.

    `graph` is None for N = 0; its rows are in order of sample id, and `back` int [N] takes them to the order
    of the input (None where they are the same). `neighbors` and `parameters` are those of `PseudoLabels`, eps left
    out.
    """

    graph: JaccardGraph | None
    back: npt.NDArray[np.intp] | None
    neighbors: npt.NDArray[np.int32]
    parameters: dict[str, Any]

    def cluster(self, eps: float) -> Clustering:
        """DBSCAN at eps, in the graph's order of rows."""
        if self.graph is None:
            return Clustering(np.zeros(0, np.int64), np.zeros(0, bool))
        find = cuml_dbscan if self.parameters["dbscan_used"] == "cuml" else sparse_dbscan
        return find(self.graph, eps=eps, min_samples=self.parameters["min_samples"])

    def of_images(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Labels as `cluster` has them, in order of sample id: here they are those of images."""
        return labels

    def labels_at(self, eps: float) -> PseudoLabels:
        """What `pseudo_label` returns for this eps, bit for bit."""
        return self.pseudo_labels(self.cluster(eps), eps)

    def pseudo_labels(self, clustering: Clustering, eps: float) -> PseudoLabels:
        """As `labels_at`, from `cluster(eps)`."""
        support = np.zeros(0, np.float32)
        if self.graph is not None:
            support = confidence(self.graph, clustering, eps=eps)
        back = slice(None) if self.back is None else self.back
        return PseudoLabels(
            clustering.labels[back],
            clustering.is_core[back],
            support[back],
            int(clustering.labels.max(initial=-1)) + 1,
            {**self.parameters, "eps": float(eps)},
            self.neighbors,
        )


def jaccard_space(
    features: Any,
    options: LabelOptions,
    *,
    sample_ids: npt.ArrayLike | None = None,
    workers: Workers | None = None,
) -> JaccardSpace:
    """The neighbour search and the Jaccard graph, which reaches to the largest eps of the options.

    The arguments and what is raised are as in `pseudo_label`.
    """
    by: Workers = workers or Threads(thread_count())
    rows = unit_rows(features)
    # A wrong name is refused before any work.
    used = resolve_backend(options.backend, len(rows), by.device)
    if options.dbscan == "cuml" and by.device is not None:
        check_cuml()
    order = order_of(sample_ids, len(rows))
    if order is not None:
        rows = rows[order]
    k1, k2 = options.used_for(len(rows))
    parameters = {
        **options.record(),
        "num_images": len(rows),
        "k1_used": int(k1),
        "k2_used": int(k2),
    }
    if not len(rows):
        return JaccardSpace(None, None, np.zeros((0, 0), np.int32), parameters)
    needed = estimate_memory(
        len(rows),
        rows.shape[1],
        k1=k1,
        k2=k2,
        backend=used,
        copies=0,  # the rows are there already
        divided=not isinstance(by, Threads),
    )
    check_memory(needed, free_memory(), num_images=len(rows), k1=k1)
    near = nearest(rows, k1, backend=options.backend, recall=options.recall, workers=by)
    parameters |= {"backend_used": near.backend, "recall_used": near.recall}
    graph = jaccard_graph(rows, near.indices, k2=k2, max_distance=options.reach(), workers=by)
    dense = options.dbscan == "cuml" and fits_device(len(rows), by.device)
    parameters["dbscan_used"] = "cuml" if dense else "sparse"
    back = None if order is None else np.argsort(order)
    return JaccardSpace(graph, back, near.indices, parameters)


def order_of(sample_ids: npt.ArrayLike | None, num_rows: int) -> npt.NDArray[np.intp] | None:
    """Rows int [N] in order of sample id; None without ids, or where rows are in that order already.

    Raises FeatureError for ids that are not N integers, or repeated.
    """
    if sample_ids is None:
        return None
    ids = np.asarray(sample_ids)
    if ids.shape != (num_rows,) or (num_rows and not np.issubdtype(ids.dtype, np.integer)):
        raise FeatureError(
            f"sample_ids have shape {ids.shape} and dtype {ids.dtype}; "
            f"expected {num_rows} integers, one a feature row"
        )
    if num_rows:
        ids = as_int64(ids, "sample ids")
    order = np.argsort(ids, kind="stable")
    repeated = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(repeated):
        raise FeatureError(
            f"{len(repeated)} sample ids are repeated, the first is {ids[order][repeated[0]]}; "
            "expected each image once"
        )
    return None if (order == np.arange(num_rows)).all() else order
