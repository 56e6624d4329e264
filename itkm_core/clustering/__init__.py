"""Pseudo-labels without identity labels: neighbours, k-reciprocal Jaccard distance, DBSCAN, guards."""

from itkm_core.clustering.agreement import agreement
from itkm_core.clustering.guards import Condition, check, describe, keep_or_stop
from itkm_core.clustering.options import LabelOptions
from itkm_core.clustering.plateau import Choice, choose_eps
from itkm_core.clustering.pseudo_labels import PseudoLabels, pseudo_label
from itkm_core.clustering.sweep import Sweep, SweepPoint, sweep
from itkm_core.neighbors.nearest import Neighbors, nearest

__all__ = [
    "Choice",
    "Condition",
    "LabelOptions",
    "Neighbors",
    "PseudoLabels",
    "Sweep",
    "SweepPoint",
    "agreement",
    "check",
    "choose_eps",
    "describe",
    "keep_or_stop",
    "nearest",
    "pseudo_label",
    "sweep",
]
