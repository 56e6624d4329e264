"""Matches between the two groups of a scenario as files of a match step.

clusters.parquet   cluster_0, cluster_1, affinity, reliable, mutual: one row per matched pair
instances-<g>.npz  indptr [N_g + 1], indices: positives of each image of group g among the opposite
                   group's, as CSR; `hard` [N_g, H], its nearest opposite images, for large groups
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from itkm_core.storage.place import Place

if TYPE_CHECKING:
    from itkm_core.matching import ClusterMatches, InstanceMatches

CLUSTERS_FILE = "clusters.parquet"
_METADATA_KEY = b"itkm_matches"


def write_clusters(step: Place, matches: ClusterMatches) -> None:
    """Write clusters.parquet: a row per pair, and the rest in its metadata."""
    table = pa.table(
        {
            "cluster_0": matches.pairs[:, 0],
            "cluster_1": matches.pairs[:, 1],
            "affinity": matches.affinity,
            "reliable": matches.reliable,
            "mutual": matches.mutual,
        }
    )
    rest = {
        "num_clusters": matches.num_clusters,
        "threshold": None if np.isnan(matches.threshold) else matches.threshold,
        "method": matches.method,
    }
    metadata = {_METADATA_KEY: json.dumps(rest).encode()}
    (step / CLUSTERS_FILE).write_table(table.replace_schema_metadata(metadata))


def read_clusters(step: Place) -> ClusterMatches | None:
    """What `write_clusters` wrote; None if clusters were not matched."""
    from itkm_core.matching import ClusterMatches

    if not (step / CLUSTERS_FILE).exists():
        return None
    table = (step / CLUSTERS_FILE).read_table()
    rest = json.loads(table.schema.metadata[_METADATA_KEY])
    names = ("cluster_0", "cluster_1")
    return ClusterMatches(
        pairs=np.stack([table[name].to_numpy() for name in names], axis=1),
        affinity=table["affinity"].to_numpy(),
        reliable=table["reliable"].to_numpy(zero_copy_only=False),
        mutual=table["mutual"].to_numpy(zero_copy_only=False),
        num_clusters=(rest["num_clusters"][0], rest["num_clusters"][1]),
        threshold=float("nan") if rest["threshold"] is None else rest["threshold"],
        method=rest["method"],
    )


def write_instances(
    step: Place, matches: InstanceMatches, keep_hard: Sequence[bool]
) -> list[np.ndarray]:
    """Write instances-0.npz and instances-1.npz, with `hard` for the groups of `keep_hard`. Returns all arrays."""
    written = []
    for group in (0, 1):
        indptr, indices = matches.positives(group)
        arrays = {"indptr": indptr, "indices": indices}
        hard = matches.hard(group)
        if hard is not None and keep_hard[group]:
            arrays["hard"] = hard
        (step / f"instances-{group}.npz").write_arrays(arrays)
        written += list(arrays.values())
    return written


def read_instances(step: Place) -> InstanceMatches | None:
    """What `write_instances` wrote; None if images were not matched."""
    from itkm_core.matching import Csr, InstanceMatches

    files = [step / f"instances-{group}.npz" for group in (0, 1)]
    if not all(file.exists() for file in files):
        return None
    first, second = (file.read_arrays() for file in files)
    return InstanceMatches(
        Csr(first["indptr"], first["indices"]),
        Csr(second["indptr"], second["indices"]),
        first.get("hard"),
        second.get("hard"),
    )
