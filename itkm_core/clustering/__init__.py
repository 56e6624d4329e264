"""Pseudo-labels without identity labels: neighbours, k-reciprocal Jaccard distance, DBSCAN, guards."""

from itkm_core.clustering.agreement import agreement
from itkm_core.clustering.guards import Condition, check, describe, keep_or_stop
from itkm_core.clustering.neighbors import Neighbors, nearest
from itkm_core.clustering.pseudo_labels import PseudoLabels, pseudo_label

__all__ = [
    "Condition",
    "Neighbors",
    "PseudoLabels",
    "agreement",
    "check",
    "describe",
    "keep_or_stop",
    "nearest",
    "pseudo_label",
]
