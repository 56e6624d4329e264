"""Labels, features and texts -> matches between the two groups of a scenario: one Ray task each.

Texts are first updated to this round's labels (DRU), since matching reads them. The rows of a group's images
are in order of sample_id, as in its labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from itkm_core.clustering.centroids import cluster_means
from itkm_core.corpus.schema import Corpus, cameras_of
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.labels import read_centroids, read_labels
from pipelines.artifacts.matches import write_clusters, write_instances
from pipelines.artifacts.run_folder import digest_of
from pipelines.artifacts.texts import MovedTexts, Texts

if TYPE_CHECKING:
    from itkm_core.learning.config import MatchConfig
    from itkm_core.matching import ClusterMatches, InstanceMatches


@dataclass(frozen=True)
class MatchTask:
    """What matching one scenario needs, small enough to send."""

    scenario: str
    labels: Mapping[int, Place]  # the label step of each group
    features: Place
    out: Place
    options: MatchConfig
    clusters: bool  # CHM
    instances: bool  # IHM
    max_negatives: int  # hard negatives are kept only if the opposite group has more images
    texts: Mapping[int, Texts] | None  # of each group, from before this round's labels
    rho: float | None  # None: texts do not move (DRU is off)
    without_camera: str | None = (
        None  # the corpus, which knows the cameras; None: features as they are
    )
    frozen: Place | None = (
        None  # the frozen CLIP's features; None: clusters are matched without them
    )


@dataclass(frozen=True)
class _Side:
    """One group of a scenario as matching sees it: N images, K clusters, D dimensions."""

    centroids: np.ndarray  # [K, D]
    features: np.ndarray  # [N, D]; [N, 0] where images are not matched
    texts: MovedTexts | None


def match_scenario(task: MatchTask) -> tuple[str, dict[str, Any]]:
    """Update the texts of one scenario, match its groups, and write both to the step's folder.

    Files: `text-<g>.npy` [K, D] and `instance-text-<g>.npy` [N, D] if there are texts; `clusters.parquet` and
    `instances-<g>.npz` (see matches.py) if there are two groups.

    Returns the digest of all files, and facts about the matches that need no identities.

    Raises:
        FeatureError, LabelError: features, labels and texts do not belong together.
    """
    from itkm_core.matching import match_clusters, match_instances

    out = task.out
    sides = {group: _side(task, group) for group in sorted(task.labels)}
    parts: list[np.ndarray] = []
    for group, side in sides.items():
        if side.texts is not None:
            side.texts.write(out, str(group))
            parts += [side.texts.clusters, side.texts.instances]
    facts: dict[str, Any] = {"scenario": task.scenario, "text": task.texts is not None}
    clusters: ClusterMatches | None = None
    instances: InstanceMatches | None = None
    if len(sides) == 2:
        first, second = sides[0], sides[1]
        options = task.options
        if task.clusters:
            text = _pair(sides, "clusters") if options.image_weight < 1 else (None, None)
            clusters = match_clusters(
                first.centroids,
                second.centroids,
                *text,
                image_weight=options.image_weight,
                quantile=options.quantile,
                mutual_only=options.mutual_only,
                chance=options.chance,
                dense_limit=options.dense_limit,
                candidates=options.candidates,
            )
            write_clusters(out, clusters)
            parts += [clusters.pairs, clusters.affinity, clusters.reliable]
        if task.instances:
            sizes = [len(side.features) for side in sides.values()]
            text = _pair(sides, "instances") if options.instance_text else (None, None)
            instances = match_instances(
                first.features,
                second.features,
                *text,
                k=options.k,
                mutual_only=options.instance_mutual_only,
                num_hard=options.num_hard if max(sizes) > task.max_negatives else 0,
            )
            kept = [sizes[1 - group] > task.max_negatives for group in (0, 1)]
            parts += write_instances(out, instances, kept)
        facts |= _health(task, sides, clusters, instances)
    return digest_of(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)), facts


def _side(task: MatchTask, group: int) -> _Side:
    from itkm_core.clustering.cameras import without_camera
    from itkm_core.matching import joined_rows

    table = read_labels(task.labels[group])
    ids, labels = table["sample_id"].to_numpy(), table["label"].to_numpy()

    def compared(place: Place) -> np.ndarray:
        features = read_features(place, ids, Block(task.scenario, group))
        if task.without_camera is None:
            return features
        return without_camera(features, cameras_of(Corpus.open(task.without_camera), ids))

    features = np.zeros((len(ids), 0), np.float32)
    if task.instances or task.without_camera is not None:
        features = compared(task.features)
    if task.without_camera is not None:
        centroids = cluster_means(features, labels)
    else:
        centroids = read_centroids(task.labels[group])
    if task.frozen is not None:
        before = cluster_means(compared(task.frozen), labels)
        centroids = joined_rows(centroids, before, 1 - task.options.frozen_weight)
    texts = None
    if task.texts is not None:
        texts = task.texts[group].moved(labels, task.rho)
    return _Side(centroids, features, texts)


def _pair(sides: Mapping[int, _Side], name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The texts of both sides, None for a side without."""
    found = [None if side.texts is None else getattr(side.texts, name) for side in sides.values()]
    return found[0], found[1]


def _health(
    task: MatchTask,
    sides: Mapping[int, _Side],
    clusters: ClusterMatches | None,
    instances: InstanceMatches | None,
) -> dict[str, Any]:
    from itkm_core.matching import cluster_health, instance_health, match_clusters, problems

    facts: dict[str, Any] = {}
    health = None
    if clusters is not None:
        alone = {}
        if sides[0].texts is not None:
            limits: dict[str, Any] = {
                "dense_limit": task.options.dense_limit,
                "candidates": task.options.candidates,
            }
            centroids = (sides[0].centroids, sides[1].centroids)
            texts = _pair(sides, "clusters")
            alone = {
                "image_only": match_clusters(*centroids, **limits),
                "text_only": match_clusters(*centroids, *texts, image_weight=0.0, **limits),
            }
        health = cluster_health(clusters, chance=task.options.chance, **alone)
        facts["clusters"] = health.summary()
    of_images = [] if instances is None else [instance_health(instances, side) for side in (0, 1)]
    if of_images:
        facts["instances"] = [each.summary() for each in of_images]
    found = problems(health, of_images, where=task.scenario)
    return {**facts, "warning": " ".join(f"{line}." for line in found)}
