"""Cluster memory: one unit vector per cluster, moved towards the features of its images.

docs/definition.md, "Stage I". K clusters, D dimensions, B images of a step in global batch order.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from itkm_core.errors import LabelError


class ClusterMemory:
    """Centroids float32 [K, D] of one (scenario, group), on one device; copied from those of the label step.

    Raises:
        LabelError: no cluster.
    """

    def __init__(self, centroids: Tensor) -> None:
        if not len(centroids):
            raise LabelError("0 clusters: expected at least one, numbered without gaps")
        self.centroids = centroids.detach().to(torch.float32).clone()

    @property
    def num_clusters(self) -> int:
        return len(self.centroids)

    def to(self, device: str | torch.device) -> ClusterMemory:
        """This memory, moved to a device."""
        self.centroids = self.centroids.to(device)
        return self

    def update(self, features: Tensor, labels: NDArray[np.int64], momentum: float) -> None:
        """m_y <- norm(mu m_y + (1 - mu) v) for each image in order, in float32.

        A later image of a cluster sees the centroid as the earlier ones left it. Images of different
        clusters are independent, so the k-th image of every cluster is applied at once, for
        k = 1, 2, ...: the same numbers as one by one, in as many steps as the most frequent cluster
        has images.

        Args:
            features: [B, D], unit rows, on the memory's device.
            labels: int64 [B], 0 .. K-1, on the CPU.
            momentum: mu in [0, 1].
        """
        move_towards(self.centroids, features, labels, momentum)


def move_towards(
    vectors: Tensor, features: Tensor, rows: NDArray[np.int64], momentum: float
) -> None:
    """vectors[row] <- norm(mu vectors[row] + (1 - mu) v) for each feature v in order, in place.

    Args:
        vectors: float32 [K, D], unit rows.
        features: [B, D], unit rows, on the same device.
        rows: int64 [B], 0 .. K-1, on the CPU.
        momentum: mu in [0, 1].
    """
    with torch.no_grad():
        values = features.detach().to(torch.float32)
        for places in _by_occurrence(rows):
            index = torch.from_numpy(places).to(values.device)
            row = torch.from_numpy(rows[places]).to(values.device)
            moved = momentum * vectors[row] + (1.0 - momentum) * values[index]
            vectors[row] = F.normalize(moved, dim=1)


def _by_occurrence(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Row numbers of every label's first occurrence, then of every second one, and so on."""
    if len(labels) == 0:
        return []
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    run_start = np.maximum.accumulate(np.where(new, np.arange(len(ordered)), 0))
    occurrence = np.arange(len(ordered)) - run_start
    return [order[occurrence == k] for k in range(int(occurrence.max()) + 1)]
