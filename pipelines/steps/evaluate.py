"""Evaluation: the only place in the pipeline where identities meet features and pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, StorageError
from itkm_core.evaluation.clusters import label_quality
from itkm_core.evaluation.retrieval import directions, evaluate_corpus
from itkm_core.evaluation.tracklets import evaluate_tracklets, tracklet_quality
from itkm_core.matching import cluster_accuracy, instance_precision
from itkm_core.neighbors.groups import number_groups
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.run_folder import RunFolder


def splits_to_extract(corpus: Corpus) -> list[str]:
    """Training images always; query and gallery if there are identities to evaluate them with."""
    tested = {split for _, _, split in corpus.counts if split != "train"}
    return ["train", *sorted(tested)] if corpus.has_identities else ["train"]


def evaluate(
    corpus_root: str,
    features: Place,
    labels: Mapping[Block, Place],
    matches: Mapping[str, Place],
    only: Sequence[str],
) -> dict[str, Any]:
    """Retrieval per scenario, and the quality of pseudo-labels and matches.

    Scenarios that are public collections are asked by the settings of their protocols, others by their directions.

    labels: the label step of each block. matches: the match step of each scenario. only: the scenarios to
    evaluate. Parts without identities, or without query and gallery images, are left out. Where the corpus has
    tracklets, `tracklets` has the same scores over them, always by directions.
    """
    corpus = Corpus.open(corpus_root)
    identities = corpus.identities()
    if identities is None:
        return {"retrieval": [], "labels": []}
    index = corpus.index()
    persons = np.full(corpus.num_images, -1, np.int64)
    persons[identities["sample_id"].to_numpy()] = identities["person"].to_numpy()
    tracklets = _tracklets(index) if corpus.has_tracklets else np.full(corpus.num_images, -1)
    index = index.filter(pc.is_in(index["scenario"], pa.array(list(only), pa.string())))
    tested = index["split"].to_numpy(zero_copy_only=False) != "train"
    images: dict[str, Any] = {"retrieval": [], "labels": []}
    tracks: dict[str, Any] = {"retrieval": [], "labels": []}
    if directions(index):
        ids = index["sample_id"].to_numpy()[tested]
        given = index.filter(tested), identities, read_features(features, ids), ids
        known = {name: each["protocol"] for name, each in corpus.collections().items()}
        rows = evaluate_corpus(
            *given,
            protocols={name: known[name] for name in only if name in known},
            draws=corpus.draws() if known else None,
        )
        images["retrieval"] = [row.summary() for row in rows]
        tracks["retrieval"] = [row.summary() for row in evaluate_tracklets(*given)]
    for block in sorted(labels, key=lambda block: block.name):
        table = read_labels(labels[block])
        ids, numbers = table["sample_id"].to_numpy(), table["label"].to_numpy()
        if (persons[ids] > 0).any():
            found = label_quality(numbers, persons[ids])
            images["labels"].append({"group": block.name, **found.summary()})
        of_tracklets = tracklet_quality(numbers, persons[ids], tracklets[ids])
        if of_tracklets is not None:
            tracks["labels"].append({"group": block.name, **of_tracklets.summary()})
    scored = {name: match_quality(step, name, labels, persons) for name, step in matches.items()}
    scored = {name: scores for name, scores in scored.items() if scores}
    more = {"tracklets": tracks} if corpus.has_tracklets else {}
    return {**images, "matches": scored, **more}


def _tracklets(index: pa.Table) -> np.ndarray:
    """A number for the tracklet of each image of a corpus, int64 [N]; -1: it is in none."""
    keys = (index[name].to_numpy() for name in ("scenario", "group", "camera", "tracklet"))
    return np.where(index["tracklet"].to_numpy() >= 0, number_groups(*keys)[0], -1)


def headlines(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of rows of `retrieval`, those that stand for their scenario: one for each of its directions.

    A protocol gives many rows, the most quoted setting first. If some of a scenario go from one group to another, rows
    within a group are not among them, as they are not among `directions`.
    """
    crossed = {row["scenario"] for row in rows if row["query_group"] != row["gallery_group"]}
    first: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("scenario", "query_group", "gallery_group"))
        if row["scenario"] not in crossed or row["query_group"] != row["gallery_group"]:
            first.setdefault(key, row)
    return list(first.values())


def match_quality(
    step: Place, scenario: str, labels: Mapping[Block, Place], persons: np.ndarray
) -> dict[str, Any]:
    """Accuracy of a match step's cluster pairs, and precision of each group's instance positives.

    persons: int64, by sample id, -1 unknown. Returns nothing for a scenario with one group.
    """
    blocks = [Block(scenario, group) for group in (0, 1)]
    if not all(block in labels for block in blocks):
        return {}
    tables = [read_labels(labels[block]) for block in blocks]
    numbers = [table["label"].to_numpy() for table in tables]
    truth = [persons[table["sample_id"].to_numpy()] for table in tables]
    scores: dict[str, Any] = {}
    clusters, instances = read_clusters(step), read_instances(step)
    if clusters is not None:
        found = cluster_accuracy(clusters, numbers[0], truth[0], numbers[1], truth[1])
        scores["clusters"] = found.summary()
    if instances is not None:
        scores["instances"] = [
            instance_precision(instances, side, *truth).summary() for side in (0, 1)
        ]
    return scores


def write_evaluation(place: Place, step: str, result: Mapping[str, Any]) -> Place:
    """Write an evaluation to a file of the user's choice, which must be new or an earlier evaluation.

    Raises:
        StorageError: there is something else, or it cannot be written.
    """
    if place.exists():
        try:
            found = place.read_json()
        except StorageError:
            found = None
        if not isinstance(found, dict) or not {"step", "retrieval", "labels"} <= found.keys():
            raise StorageError(
                f"{place} is there and is not an earlier evaluation; give --json another name"
            )
    place.write_json({"step": step, **result})
    return place


def newest_evaluation(run: RunFolder) -> tuple[str, dict[str, Any]]:
    """Name and result of the latest complete evaluate step.

    Raises:
        CorpusError: there is none: the corpus has no identities, or no round has got that far.
    """
    # By name: an object store may list late what was just written.
    folders = (f"round-{number:03d}" for number in count(1))
    begun = list(takewhile(lambda folder: run.read(f"{folder}/extract") is not None, folders))
    for folder in ("final", *reversed(begun)):
        manifest = run.read(f"{folder}/evaluate")
        if manifest is not None:
            return f"{folder}/evaluate", manifest.facts
    raise CorpusError(
        f"{run.place} has no evaluated round: the corpus has no identities.parquet, or the first round "
        "has not finished"
    )
