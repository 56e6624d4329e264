"""Identity labels meet features and pseudo-labels here, and nowhere else in the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError
from itkm_core.evaluation.clusters import label_quality
from itkm_core.evaluation.retrieval import directions, evaluate_corpus
from pipelines.extract import read_features
from pipelines.label import read_labels
from pipelines.runs import RunFolder
from pipelines.storage import Place


def splits_to_extract(corpus: Corpus) -> list[str]:
    """Training images always; query and gallery where there are identities to evaluate them with."""
    tested = {split for _, _, split in corpus.counts if split != "train"}
    return ["train", *sorted(tested)] if corpus.has_identities else ["train"]


def evaluate(corpus_root: str, features: Place, labels: Mapping[str, Place]) -> dict[str, Any]:
    """Retrieval per scenario and direction, and the pseudo-labels' quality per (scenario, group).

    `labels` maps `scenario/group` to its label step. What cannot be evaluated, for want of identities or
    of query and gallery images, is left out.
    """
    corpus = Corpus.open(corpus_root)
    identities = corpus.identities()
    if identities is None:
        return {"retrieval": [], "labels": []}
    index = corpus.index()
    tested = index["split"].to_numpy(zero_copy_only=False) != "train"
    retrieval: list[dict[str, Any]] = []
    if directions(index):
        ids = index["sample_id"].to_numpy()[tested]
        found = read_features(features, ids)
        retrieval = [
            row.summary() for row in evaluate_corpus(index.filter(tested), identities, found, ids)
        ]
    persons = np.full(corpus.num_images, -1, np.int64)
    persons[identities["sample_id"].to_numpy()] = identities["person"].to_numpy()
    quality = []
    for key, step in sorted(labels.items()):
        table = read_labels(step)
        truth = persons[table["sample_id"].to_numpy()]
        if (truth > 0).any():
            scores = label_quality(table["label"].to_numpy(), truth)
            quality.append({"group": key, **scores.summary()})
    return {"retrieval": retrieval, "labels": quality}


def newest_evaluation(run: RunFolder) -> tuple[str, dict[str, Any]]:
    """Name and result of the newest evaluate step that is complete.

    Raises:
        CorpusError: there is none: the corpus has no identities, or no round has come so far.
    """
    # `final` comes after `round-NNN` unless told; "~" sorts behind every letter.
    folders = sorted(
        {path.split("/")[-3] for path in run.place.files("evaluate/manifest.json")},
        key=lambda name: "~" if name == "final" else name,
    )
    for folder in reversed(folders):
        manifest = run.read(f"{folder}/evaluate")
        if manifest is not None:
            return f"{folder}/evaluate", manifest.facts
    raise CorpusError(
        f"{run.place} has no evaluated round: the corpus has no identities.parquet, or the first round "
        "has not ended"
    )
