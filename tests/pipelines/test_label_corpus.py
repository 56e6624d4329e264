"""`itkm label --corpus`: features with an encoder, labels of each group, nothing trained."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from itkm_core.clustering import pseudo_label
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.synthetic import SyntheticConfig, write_people
from pipelines import label_corpus, session
from pipelines.config import load_config
from pipelines.extract import read_features
from pipelines.ingest import ingest
from pipelines.ingest_config import IngestConfig, Source
from pipelines.label import train_ids
from pipelines.label_cli import LabelRequest, label
from pipelines.storage import Place

OPTIONS = ("only=[ucc]", "without_camera=false", "extract_precision=fp32")


@pytest.mark.ray
def test_a_corpus_is_labelled_group_by_group_and_its_features_are_kept(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ray_session", lambda console: nullcontext())
    write_people(SyntheticConfig(people_train=8, people_test=2, images=4, seed=3), tmp_path / "p")
    source = Source(kind="synthetic", path=str(tmp_path / "p"))
    ingest(IngestConfig(sources=[source]), str(tmp_path / "corpus"))
    corpus, out = Corpus.open(tmp_path / "corpus"), tmp_path / "out"
    printed = io.StringIO()

    def run(*overrides: str, sweep: str | None = None) -> None:
        request = LabelRequest(
            str(out), corpus=corpus.root, sweep=sweep, overrides=(*OPTIONS, *overrides)
        )
        label(request, Console(file=printed, width=100))

    run()
    table = pq.read_table(out / "pseudo_labels.parquet")
    assert table.column_names == [
        *("sample_id", "scenario", "group", "label", "is_core", "confidence")
    ]
    features = Place.at(out) / "final" / "extract" / "features"
    config = load_config("tiny", list(OPTIONS))
    for group in (0, 1):
        ids = train_ids(corpus, "ucc", group)
        rows = read_features(features, ids, scenario="ucc", group=group)
        expected = pseudo_label(rows, sample_ids=ids, **config.labels.for_scenario("ucc"))
        mine = table["group"].to_numpy() == group
        np.testing.assert_array_equal(table["sample_id"].to_numpy()[mine], ids)
        np.testing.assert_array_equal(table["label"].to_numpy()[mine], expected.labels)
    # Another eps does not need other features, and a sweep leaves the labels alone.
    monkeypatch.setattr(label_corpus.Labeller, "run", None)
    run(sweep="eps=0.4:0.6:0.1")
    record = (Place.at(out) / "sweep.json").read_json()["groups"]
    assert sorted(record) == ["ucc/0", "ucc/1"]
    assert pq.read_table(out / "pseudo_labels.parquet").equals(table)
    assert "reused" in printed.getvalue()
