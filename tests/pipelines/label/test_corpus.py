"""`itkm label --corpus`: features with an encoder, labels of each group, nothing trained; and later pictures."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.clustering import LabelOptions, pseudo_label
from itkm_core.clustering.arrivals.label import label_arrivals
from itkm_core.corpus.schema import Corpus, train_ids
from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.write import write_people
from pipelines import session
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.ingest.config import IngestConfig, Source
from pipelines.ingest.make import ingest
from pipelines.label import corpus as label_corpus
from pipelines.label.command import LabelRequest, label
from pipelines.label.index import read_group, read_index

SHARED = ("only=[ucc]", "extract_precision=fp32", "compute.num_extractors=1")
OPTIONS = (*SHARED, "without_camera=false", "labels.k1=6", "labels.k2=2", "labels.min_samples=3")


@dataclass(frozen=True)
class Labelled:
    """A corpus, and the folder where `itkm label` was once; `run(out, *overrides, ...)` is the command."""

    corpus: Corpus
    out: Path
    run: Callable[..., str]


@pytest.fixture(scope="module")
def labelled(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelled]:
    folder = tmp_path_factory.mktemp("corpus")
    people = SyntheticConfig(people_train=8, people_test=2, images=4, seed=3)
    write_people(people, folder / "people")
    source = Source(kind="synthetic", path=str(folder / "people"))
    ingest(IngestConfig(sources=[source]), str(folder / "corpus"))
    corpus = Corpus.open(folder / "corpus")

    def run(
        out: Path, *overrides: str, sweep: str | None = None, against: Path | None = None
    ) -> str:
        printed = io.StringIO()
        known = None if against is None else str(against)
        request = LabelRequest(
            str(out), corpus=corpus.root, sweep=sweep, against=known, overrides=overrides
        )
        label(request, Console(file=printed, width=200))
        return printed.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "ray_session", lambda console: nullcontext())
        run(folder / "out", *OPTIONS)
        yield Labelled(corpus, folder / "out", run)


@pytest.mark.ray
def test_a_corpus_is_labelled_group_by_group(labelled: Labelled) -> None:
    table = pq.read_table(labelled.out / "pseudo_labels.parquet")
    assert table.column_names == [
        *("sample_id", "scenario", "group", "label", "is_core", "confidence")
    ]
    features = Place.at(labelled.out) / "final" / "extract" / "features"
    index = read_index(str(labelled.out))
    config = load_config("tiny", list(OPTIONS))
    assert index.labels == config.labels
    for group in (0, 1):
        ids = train_ids(labelled.corpus, "ucc", group)
        rows = read_features(features, ids, Block("ucc", group))
        expected = pseudo_label(
            rows, sample_ids=ids, k1=6, k2=2, eps=config.labels.eps, min_samples=3
        )
        mine = table["group"].to_numpy() == group
        np.testing.assert_array_equal(table["sample_id"].to_numpy()[mine], ids)
        np.testing.assert_array_equal(table["label"].to_numpy()[mine], expected.labels)
        known, cameras = read_group(index.place, index.groups[f"ucc/{group}"])
        assert cameras is None
        np.testing.assert_array_equal(known.sample_ids, ids)
        np.testing.assert_array_equal(known.rows, rows)
        np.testing.assert_array_equal(known.labels, expected.labels)


@pytest.mark.ray
def test_features_are_kept_and_a_sweep_leaves_the_labels_alone(
    labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pq.read_table(labelled.out / "pseudo_labels.parquet")
    # Another eps does not need other features.
    monkeypatch.setattr(label_corpus, "run_body", None)
    said = labelled.run(labelled.out, *OPTIONS, sweep="eps=0.4:0.6:0.1")
    record = (Place.at(labelled.out) / "sweep.json").read_json()["groups"]
    assert sorted(record) == ["ucc/0", "ucc/1"]
    assert pq.read_table(labelled.out / "pseudo_labels.parquet").equals(table)
    assert read_index(str(labelled.out)).labels.k1 == 6
    assert "reused" in said


@pytest.mark.ray
def test_later_pictures_are_labelled_against_a_corpus(labelled: Labelled, tmp_path: Path) -> None:
    new = tmp_path / "new"
    # The embedding of a fresh encoder depends on the scenarios, and its weights on the seed.
    for other, said in ((("only=[uvi]",), "scenarios: "), (("only=[ucc]", "seed=1"), "seed: ")):
        with pytest.raises(ConfigError, match=f"another encoder.*\n  {said}"):
            labelled.run(new, "extract_precision=fp32", *other, against=labelled.out)
    assert not (new / "final").exists()

    # The same pictures again: their features are there.
    extracted = Path("final", "extract")
    shutil.copytree(labelled.out / extracted, new / extracted)
    said = labelled.run(new, *SHARED, against=labelled.out)
    index, now = read_index(str(labelled.out)), read_index(str(new))
    before = pq.read_table(labelled.out / "pseudo_labels.parquet")
    table = pq.read_table(new / "pseudo_labels.parquet")
    assert table.schema == before.schema
    first_id = before["sample_id"].to_numpy().max() + 1
    assert f"the corpus + {first_id}" in said
    parameters = json.loads((new / "parameters.json").read_text())
    assert parameters["first_sample_id"] == first_id == index.next_id
    for group in (0, 1):
        name = f"ucc/{group}"
        known, _ = read_group(index.place, index.groups[name])
        ids = first_id + known.sample_ids
        expected = label_arrivals(
            known, known.rows, sample_ids=ids, options=LabelOptions(**index.groups[name].parameters)
        )
        mine = table["group"].to_numpy() == group
        np.testing.assert_array_equal(table["sample_id"].to_numpy()[mine], ids)
        np.testing.assert_array_equal(table["label"].to_numpy()[mine], expected.labels)
        assert parameters["groups"][name] == expected.parameters
        again, _ = read_group(now.place, now.groups[name])
        np.testing.assert_array_equal(again.labels, expected.known.labels)
    assert parameters["groups"]["ucc/0"]["k1"] == 6

    # Features made elsewhere may follow those of a corpus, if they say of which group they are.
    rows = pa.table({"sample_id": [10**6], "feature": [known.rows[0]], "scenario": ["ucc"]})
    rows = rows.append_column("group", pa.array([1], pa.int8()))
    pq.write_table(rows, tmp_path / "rows.parquet")
    given = str(tmp_path / "rows.parquet")
    more = LabelRequest(str(tmp_path / "more"), features=given, against=str(new))
    label(more, Console(file=io.StringIO()))
    last = read_index(str(tmp_path / "more"))
    assert sorted(last.groups) == ["ucc/0", "ucc/1"]
    assert last.encoder == now.encoder == index.encoder
