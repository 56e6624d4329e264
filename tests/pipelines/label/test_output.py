"""What lies beside the labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from tracked_corpus import label_rows, write_corpus

from itkm_core.storage.place import Place
from pipelines.artifacts.tracklets import TRACKLETS_FILE, corpus_tracklets
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.label.index import FOLDER, Index
from pipelines.label.output import write_labels


def test_tracklets_lie_beside_the_labels_and_go_with_them(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", tracklet=[1, 1, 2], frame=[1, 2, 1])
    labels = label_rows(corpus, np.array([0, 0, 1]), np.ones(3))
    out = Place.at(tmp_path / "out")
    index = Index(out / FOLDER, load_config("tiny", []).labels, False, None, {})
    console = Console(file=io.StringIO(), width=200)
    write_labels(out, labels, {}, index, console, first_id=40, corpus=corpus)
    assert (out / TRACKLETS_FILE).read_table().equals(corpus_tracklets(corpus, labels))
    assert f"tracklets              {out / TRACKLETS_FILE}\n" in console.file.getvalue()
    found = (out / "parameters.json").read_json()["corpus"]
    assert found == {"path": corpus.root, "digest": corpus.digest}

    bare = write_corpus(tmp_path / "bare", camera=[1, 1, 1])
    write_labels(out, labels, {}, index, console, corpus=bare)
    assert not (out / TRACKLETS_FILE).exists()
    assert console.file.getvalue().count("tracklets  ") == 1
