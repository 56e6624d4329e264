"""What `itkm export` reads: the labels of a run or of `itkm label`, and the corpus they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, StorageError, shortened
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import LABELS_FILE
from pipelines.artifacts.run_folder import RunFolder, read_run
from pipelines.artifacts.tracklets import SCHEMA, TRACKLETS_FILE
from pipelines.config import make_config
from pipelines.export.identities import joined_clusters
from pipelines.label.group import PARAMETERS_FILE
from pipelines.run.command import open_corpus, rounds_of


@dataclass(frozen=True)
class Source:
    """corpus: the one labelled. labels, tracklets: pseudo_labels.parquet and tracklets.parquet.

    joined: by scenario, int64 [n, 2]: clusters of group 0 and of group 1 that the run holds for one person, each at
    most once.
    """

    corpus: Corpus
    labels: pa.Table
    tracklets: pa.Table
    joined: dict[str, np.ndarray]


def read_source(place: Place) -> Source:
    """What is in the folder of a run or of `itkm label --corpus`.

    Raises:
        StorageError: it is neither, has no labels yet, or they are of no tracklets.
        CorpusError: the corpus is gone, or is another by now.
    """
    if (place / "config.yaml").exists():
        return _of_run(place)
    parameters = place / PARAMETERS_FILE
    record = parameters.read_json() if parameters.exists() else None
    if not isinstance(record, dict) or not isinstance(record.get("corpus"), dict):
        raise StorageError(
            f"{place} is neither the folder of a run nor one that `itkm label --corpus` wrote; expected one with "
            f"{TRACKLETS_FILE}"
        )
    labels, tracklets = _tables(place)
    corpus = Corpus.open(str(record["corpus"].get("path")))
    _check_same(corpus, record["corpus"].get("digest"), place)
    return Source(corpus, labels, tracklets, {})


def _of_run(place: Place) -> Source:
    run, document = read_run(place)
    labels, tracklets = _tables(place)
    own: dict[str, Any] = document["config"]
    kept = {name: value for name, value in own.items() if name != "corpus"}
    config = make_config(kept, name=f"the configuration of {place}", trusted=True)
    corpus = open_corpus(config, str(own.get("corpus")))
    _check_same(corpus, document["identity"].get("corpus"), place)
    rounds = rounds_of(config, corpus)
    return Source(corpus, labels, tracklets, joined_clusters(RunFolder(run.place), rounds, labels))


def _tables(place: Place) -> tuple[pa.Table, pa.Table]:
    for name, why in (
        (LABELS_FILE, "the run is not finished: the same `itkm run` continues it"),
        (TRACKLETS_FILE, "its corpus has no tracklets, or an older itkm wrote it"),
    ):
        if not (place / name).exists():
            raise StorageError(f"{place} has no {name}: {why}")
    labels = _columns(place / LABELS_FILE, ("sample_id", "scenario", "group", "label"))
    return labels, _columns(place / TRACKLETS_FILE, SCHEMA.names)


def _columns(place: Place, names: Sequence[str]) -> pa.Table:
    try:
        return place.read_table(columns=list(names))
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            f"{place} is damaged, or lacks columns: {shortened(error)}; label again"
        ) from error


def _check_same(corpus: Corpus, digest: Any, place: Place) -> None:
    if corpus.digest != digest:
        raise CorpusError(
            f"the corpus at {corpus.root} is not the one that {place} is of: its digest is {corpus.digest}, expected "
            f"{digest}; put that corpus back, or label this one"
        )
