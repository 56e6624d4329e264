"""Jaccard graphs that tests make from a matrix of distances."""

from __future__ import annotations

import numpy as np

from itkm_core.clustering.jaccard import JaccardGraph
from itkm_core.neighbors.csr import csr_of_pairs
from itkm_core.neighbors.equal_rows import group_equal_rows


def graph_of_matrix(distances, within=None, members=None, max_distance=0.9):
    """A graph from type distances [T, T]; `members` names each image's type (default: one image a type)."""
    near = distances <= max_distance
    np.fill_diagonal(near, False)
    members = np.arange(len(distances)) if members is None else members
    groups = group_equal_rows(np.asarray(members, np.float32)[:, None])
    # Types are numbered by first image.
    order = np.asarray(members)[groups.first]
    near, distances = near[np.ix_(order, order)], distances[np.ix_(order, order)]
    within = np.ones(len(order)) if within is None else np.asarray(within, float)[order]
    rows, columns = np.nonzero(near)
    pairs = csr_of_pairs(rows, columns, len(order))
    return JaccardGraph(groups, pairs, distances[rows, columns], within, max_distance)


def matrix(seed, num, grid):
    """Symmetric distances from a grid of values: ties everywhere when it is coarse."""
    d = np.random.default_rng(seed).integers(1, grid, (num, num)) / grid
    d = np.maximum(d, d.T)
    np.fill_diagonal(d, 0)
    return d
