"""Features -> pseudo-labels: one Ray task per block, all side by side.

The task of a large block divides its work into further tasks (label_spans.py) and waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itkm_core.clustering.centroids import cluster_means
from itkm_core.corpus.schema import Corpus, cameras_of, train_ids
from itkm_core.errors import LabelError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.labels import label_table, read_labels
from pipelines.artifacts.run_folder import digest_of
from pipelines.steps.links import LinkPlan, block_links
from pipelines.telemetry.handle import Telemetry

if TYPE_CHECKING:
    from itkm_core.clustering import LabelOptions
    from itkm_core.links.units import Links


@dataclass(frozen=True)
class GroupTask:
    """What labelling one block needs, small enough to send."""

    corpus_root: str
    block: Block
    features: Place
    out: Place
    previous: Place | None  # the block's labels of the round before
    options: LabelOptions
    without_camera: bool = False
    links: LinkPlan | None = None  # what is known of the images
    telemetry: Telemetry | None = None  # is told how far the work is


def label_group(task: GroupTask) -> tuple[str, dict[str, Any]]:
    """Label one group and write labels.parquet, centroids.npy [K, D] and parameters.json.

    Returns the labels' digest and the facts of the round's line: clusters, outlier share, largest
    cluster's share, agreement with the round before (None in the first), the condition found, and eps
    with the reason for it where it was chosen.

    Raises:
        LabelError: the labels cannot be learnt from and there are none of an earlier round to keep, or none
            of the candidates for eps gives any.
    """
    from itkm_core.clustering import agreement
    from itkm_core.clustering.auto_eps import label_rows
    from itkm_core.clustering.cameras import without_camera
    from itkm_core.clustering.guards import Condition, describe, keep_or_stop
    from pipelines.steps.label_spans import group_workers

    where = task.block.name
    ids, features, cameras = group_features(task)
    compared = features if cameras is None else without_camera(features, cameras)
    workers = group_workers(f"label[{where}]", len(ids), task.telemetry)
    labelled = label_rows(
        compared, ids, task.options, where=where, workers=workers, links=group_links(task, ids)
    )
    found = labelled.found
    is_core, confidence = found.is_core, found.confidence
    before = None if task.previous is None else read_labels(task.previous)
    if labelled.failure and before is None:
        raise LabelError(labelled.failure)
    words: dict[str, Any] = {
        "where": where,
        "eps": found.parameters["eps"],
        "k1": found.parameters["k1"],
    }
    earlier = None if before is None else before["label"].to_numpy()
    warning = ""
    labels, condition = keep_or_stop(found.labels, earlier, **words)
    if condition is not Condition.OK:
        warning = labelled.failure or describe(condition, **words)
    if before is not None and condition is not Condition.OK:
        is_core = before["is_core"].to_numpy(zero_copy_only=False)
        confidence = before["confidence"].to_numpy()
        warning += " The labels of the round before are kept."
    out = task.out
    (out / "labels.parquet").write_table(label_table(task.block, ids, labels, is_core, confidence))
    (out / "centroids.npy").write_array(cluster_means(features, labels))
    (out / "parameters.json").write_json(labelled.parameters)
    sizes = np.bincount(labels[labels >= 0])
    facts = {
        "scenario": task.block.scenario,
        "group": task.block.group,
        "images": len(ids),
        "clusters": len(sizes),
        "outlier_share": float(np.mean(labels < 0)),
        "largest_share": float(sizes.max() / len(ids)) if len(sizes) else 0.0,
        "agreement": None if earlier is None else agreement(labels, earlier),
        "condition": condition.value,
        "warning": warning,
        "eps": None if labelled.failure else found.parameters["eps"],
        "eps_reason": labelled.reason,
        **link_facts(labelled.parameters),
    }
    return digest_of(labels.tobytes() + features_digest(features)), facts


def group_features(task: GroupTask) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The block's training ids [N], their features [N, D] and, if `task.without_camera`, their cameras [N]."""
    corpus = Corpus.open(task.corpus_root)
    ids = train_ids(corpus, *task.block)
    features = read_features(task.features, ids, task.block)
    return ids, features, cameras_of(corpus, ids) if task.without_camera else None


def group_links(task: GroupTask, ids: np.ndarray) -> Links | None:
    """What is known of the images `ids` int64 [N] of the block."""
    if task.links is None:
        return None
    return block_links(Corpus.open(task.corpus_root), task.links, ids)


def link_facts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Of a block's parameters, those on its units: none where nothing is known of the images."""
    names = ("num_units", "num_apart", "merge_errors", "split_errors", "k1_reason")
    facts = {name: parameters[name] for name in names if name in parameters}
    return {**facts, "k1": parameters["k1"]} if facts else {}


def gauge_labels(telemetry: Telemetry, block: Block, facts: Mapping[str, Any]) -> None:
    """Tell the board about a block's labels: `facts` of `label_group`, or some of them."""
    tags = {"scenario": block.scenario, "group": str(block.group)}
    telemetry.set("itkm_clusters", facts["clusters"], **tags)
    telemetry.set("itkm_outlier_share", facts["outlier_share"], **tags)
    telemetry.set("itkm_label_collapse", float(facts["condition"] != "ok"), **tags)
    for name, gauge in (
        ("agreement", "itkm_label_agreement"),
        ("merge_errors", "itkm_merge_errors"),
        ("split_errors", "itkm_split_errors"),
    ):
        if facts.get(name) is not None:
            telemetry.set(gauge, facts[name], **tags)


def features_digest(features: np.ndarray) -> bytes:
    """Part of the step's digest: the centroids that later steps read depend on the features."""
    return digest_of(np.ascontiguousarray(features).tobytes()).encode()
