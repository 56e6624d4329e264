"""The mean features of clusters."""

from __future__ import annotations

import numpy as np


def cluster_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Normalised mean feature of each cluster [K, D] float32, outliers left out (docs/definition.md, "Stage I")."""
    inside = labels >= 0
    num_clusters = int(labels.max(initial=-1)) + 1
    sums = np.zeros((num_clusters, features.shape[1]), np.float64)
    np.add.at(sums, labels[inside], features[inside])
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.maximum(norms, 1e-12), np.float32)
