"""Features of one (scenario, group) to pseudo-labels: docs/definition.md, "Pseudo-labels"."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.cuml_dbscan import check_cuml, cuml_dbscan, fits_device
from itkm_core.clustering.dbscan import Clustering
from itkm_core.clustering.dbscan import dbscan as sparse_dbscan
from itkm_core.clustering.footprint import check_memory, estimate_memory, free_memory
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph, jaccard_graph
from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.nearest import RECALL, nearest
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
    check_eps(eps)
    space = jaccard_space(
        features,
        k1=k1,
        k2=k2,
        max_distance=eps,
        min_samples=min_samples,
        backend=backend,
        recall=recall,
        dbscan=dbscan,
        sample_ids=sample_ids,
        num_threads=num_threads,
        workers=workers,
    )
    return space.pseudo_labels(space.cluster(eps), eps)


@dataclass(frozen=True)
class JaccardSpace:
    """All that does not depend on eps: made once, clustered at any eps up to the graph's `max_distance`.

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

    def pseudo_labels(self, clustering: Clustering, eps: float) -> PseudoLabels:
        """What `pseudo_label` returns for this eps, bit for bit, from `cluster(eps)`."""
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
    *,
    k1: int = 30,
    k2: int = 6,
    max_distance: float,
    min_samples: int = 4,
    backend: str = "auto",
    recall: float = RECALL,
    dbscan: str = "sparse",
    sample_ids: npt.ArrayLike | None = None,
    num_threads: int | None = None,
    workers: Workers | None = None,
) -> JaccardSpace:
    """The neighbour search and the Jaccard graph up to `max_distance`, with the parameters of `pseudo_label`.

    Raises as `pseudo_label` does.
    """
    check_parameters(k1, k2, min_samples)
    by: Workers = workers or Threads(thread_count(num_threads))
    rows = unit_rows(features)
    used = resolve_backend(backend, len(rows), by.device)  # a wrong name is refused before any work
    if dbscan not in ("sparse", "cuml"):
        raise ConfigError(f"dbscan is {dbscan!r}; expected sparse or cuml")
    if dbscan == "cuml" and by.device is not None:
        check_cuml()
    order = order_of(sample_ids, len(rows))
    if order is not None:
        rows = rows[order]
    k1_used, k2_used = min(k1, len(rows)), min(k2, len(rows))
    if 0 < len(rows) < k1:
        warnings.warn(
            f"{len(rows)} images are fewer than k1 = {k1}: using k1 = {k1_used}, k2 = {k2_used}",
            stacklevel=3,
        )
    parameters = {
        "k1": int(k1),
        "k2": int(k2),
        "min_samples": int(min_samples),
        "backend": backend,
        "recall": float(recall),
        "num_images": len(rows),
        "k1_used": int(k1_used),
        "k2_used": int(k2_used),
    }
    if not len(rows):
        return JaccardSpace(None, None, np.zeros((0, 0), np.int32), parameters)
    needed = estimate_memory(
        len(rows),
        rows.shape[1],
        k1=k1_used,
        k2=k2_used,
        backend=used,
        copies=0,  # the rows are there already
        divided=not isinstance(by, Threads),
    )
    check_memory(needed, free_memory(), num_images=len(rows), k1=k1_used)
    near = nearest(rows, k1_used, backend=backend, recall=recall, workers=by)
    parameters |= {"backend_used": near.backend, "recall_used": near.recall}
    graph = jaccard_graph(rows, near.indices, k2=k2_used, max_distance=max_distance, workers=by)
    dense = dbscan == "cuml" and fits_device(len(rows), by.device)
    parameters["dbscan_used"] = "cuml" if dense else "sparse"
    back = None if order is None else np.argsort(order)
    return JaccardSpace(graph, back, near.indices, parameters)


def check_parameters(k1: int, k2: int, min_samples: int) -> None:
    """ConfigError unless all are at least 1 and k2 <= k1."""
    for name, value in (("k1", k1), ("k2", k2), ("min_samples", min_samples)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ConfigError(f"{name} is {value!r}; expected an integer of at least 1")
    if k2 > k1:
        raise ConfigError(
            f"k2 is {k2} and k1 is {k1}; expected k2 <= k1: the query expansion averages list entries"
        )


def check_eps(eps: float) -> None:
    """ConfigError unless eps is a number at which not every two images are neighbours."""
    number = isinstance(eps, (int, float, np.integer, np.floating)) and not isinstance(eps, bool)
    # From 1 - 1e-6 on, every two images are neighbours.
    if not number or not 0 < eps < 1 - TIE_TOLERANCE:
        raise ConfigError(f"eps is {eps!r}; expected a Jaccard distance above 0 and below 1")


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
    order = np.argsort(ids, kind="stable")
    repeated = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(repeated):
        raise FeatureError(
            f"{len(repeated)} sample ids are repeated, the first is {ids[order][repeated[0]]}; "
            "expected each image once"
        )
    return None if (order == np.arange(num_rows)).all() else order
