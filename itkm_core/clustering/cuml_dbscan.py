"""DBSCAN by cuML, for groups whose dense N x N matrix fits an accelerator.

cuML takes precomputed distances only as a dense matrix. It is given who is near whom, 0 or 1, by the rule of
`dbscan.py`, and finds the core images and their clusters; border images are assigned as in `dbscan.py`. So the labels
are the same.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from itkm_core.clustering.dbscan import Clustering, clustering_of
from itkm_core.clustering.footprint import free_memory
from itkm_core.clustering.jaccard import TIE_TOLERANCE, JaccardGraph
from itkm_core.errors import ConfigError
from itkm_core.neighbors.kernels import Array, kernel

BYTES_A_PAIR = 6
"""A float32 distance, and what else cuML keeps. [ours]"""


def fits_device(num_images: int, device: str | None) -> bool:
    """Whether the matrix of `num_images` images fits into the free memory of the device and of this machine."""
    if device is None or not device.startswith("cuda"):
        return False
    import torch

    torch.cuda.empty_cache()  # cuML cannot use what torch keeps cached
    free, _ = torch.cuda.mem_get_info(device)
    here = free_memory()
    return bool(num_images**2 * BYTES_A_PAIR <= free) and (
        here is None or 4 * num_images**2 <= here
    )


def check_cuml() -> None:
    """ConfigError where cuML is not installed."""
    if importlib.util.find_spec("cuml") is None:
        raise ConfigError(
            "dbscan is 'cuml' and cuML is not installed: install itkm[gpu], or use 'sparse', whose labels are the same"
        )


def cuml_dbscan(graph: JaccardGraph, *, eps: float, min_samples: int) -> Clustering:
    """As `dbscan.dbscan`. Needs cuML and a device with room for 6 N^2 bytes (`fits_device`)."""
    from cuml.cluster import DBSCAN

    types, threshold = graph.types, eps + TIE_TOLERANCE
    far = np.ones((len(types.group), len(types.group)), np.float32)
    _mark_near(graph, threshold, far)
    found = DBSCAN(eps=0.5, min_samples=min_samples, metric="precomputed", output_type="numpy").fit(
        far
    )
    component = np.asarray(found.labels_, np.int64)
    core_images = np.sort(np.asarray(found.core_sample_indices_, np.int64))
    is_core = np.zeros(len(far), bool)
    is_core[core_images] = True
    core = is_core[types.first]
    # The first core image of each cluster stands for it.
    known, place = np.unique(component[core_images], return_index=True)
    stands_for = np.full(int(component.max(initial=-1)) + 1, -1, np.int64)
    stands_for[known] = core_images[place]
    known_by = np.full(len(core), -1, np.int64)
    known_by[core] = stands_for[component[types.first[core]]]
    last = types.members.indices[types.members.indptr[1:] - 1]
    apart = core & (component[types.first] != component[last])
    return clustering_of(graph, core, apart, known_by, eps=eps)


@kernel
def _mark_near(graph: JaccardGraph, threshold: float, far: Array) -> None:
    """Set far[i, j] float32 [N, N] to 0 where images i and j are near, or the same."""
    start, neighbors = graph.pairs
    member_start, members = graph.types.members
    for t in range(start.size - 1):
        for a in range(member_start[t], member_start[t + 1]):
            row = members[a]
            far[row, row] = 0.0
            if graph.within[t] <= threshold:
                for b in range(member_start[t], member_start[t + 1]):
                    far[row, members[b]] = 0.0
            for at in range(start[t], start[t + 1]):
                if graph.distances[at] <= threshold:
                    other = neighbors[at]
                    for b in range(member_start[other], member_start[other + 1]):
                        far[row, members[b]] = 0.0
