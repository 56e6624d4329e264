"""Heterogeneous matching between the two groups of a scenario: clusters (CHM), images (IHM), and their health."""

from itkm_core.matching.accuracy import (
    ClusterAccuracy,
    InstancePrecision,
    cluster_accuracy,
    instance_precision,
)
from itkm_core.matching.clusters import ClusterMatches, joined_rows, match_clusters
from itkm_core.matching.health import (
    ClusterHealth,
    InstanceHealth,
    cluster_health,
    instance_health,
    match_agreement,
    problems,
)
from itkm_core.matching.instances import InstanceMatches, match_instances
from itkm_core.neighbors.csr import Csr

__all__ = [
    "ClusterAccuracy",
    "ClusterHealth",
    "ClusterMatches",
    "Csr",
    "InstanceHealth",
    "InstanceMatches",
    "InstancePrecision",
    "cluster_accuracy",
    "cluster_health",
    "instance_health",
    "instance_precision",
    "joined_rows",
    "match_agreement",
    "match_clusters",
    "match_instances",
    "problems",
]
