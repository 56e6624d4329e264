"""The tasks of `itkm label --corpus`; test_corpus.py has the command."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made import unit

from itkm_core.clustering import LabelOptions, pseudo_label
from itkm_core.clustering.cameras import camera_means, without_camera, without_means
from itkm_core.corpus import schema
from itkm_core.errors import FeatureError, LabelError
from itkm_core.neighbors.nearest import nearest
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import read_labels
from pipelines.config_labels import LabelConfig
from pipelines.console import Console
from pipelines.label.against import Against
from pipelines.label.command import LabelRequest, label
from pipelines.label.corpus_tasks import index_block, label_block
from pipelines.label.index import Index, read_group, read_index
from pipelines.steps import label as label_steps
from pipelines.steps.label import GroupTask

OPTIONS = {"k1": 6, "k2": 2, "eps": 0.5, "min_samples": 2, "backend": "auto", "recall": 0.99}


@pytest.fixture
def made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, np.ndarray], tuple[GroupTask, np.ndarray]]:
    """made(seed, cameras) -> the task of a group of 24 images around six directions, and their features."""

    def make(seed: int, cameras: np.ndarray) -> tuple[GroupTask, np.ndarray]:
        centres = np.repeat(np.random.default_rng(0).normal(size=(6, 16)), 4, axis=0)
        rows = centres + 0.3 * np.random.default_rng(seed).normal(size=(24, 16))
        rows += 0.5 * np.random.default_rng(1).normal(size=(9, 16))[cameras]
        features = unit(rows)
        column = pa.FixedSizeListArray.from_arrays(features.ravel(), 16)
        base = Place.at(tmp_path) / str(seed)
        place = base / "features" / "scenario=uvi" / "group=0" / "split=train" / "from-0.parquet"
        place.write_table(pa.table({"sample_id": np.arange(24), "feature": column}))
        monkeypatch.setattr(schema.Corpus, "open", lambda root: None)
        monkeypatch.setattr(label_steps, "train_ids", lambda corpus, s, g: np.arange(24))
        monkeypatch.setattr(label_steps, "cameras_of", lambda corpus, ids: cameras[ids])
        out = base / "label"
        task = GroupTask(
            "c",
            Block("uvi", 0),
            base / "features",
            out,
            None,
            LabelOptions(**OPTIONS),
            without_camera=True,
        )
        return task, features

    return make


@pytest.mark.ray
def test_cameras_keep_the_means_they_were_first_compared_by(
    local_ray: None,
    tmp_path: Path,
    made: Callable[[int, np.ndarray], tuple[GroupTask, np.ndarray]],
) -> None:
    old_cameras, new_cameras = np.tile([2, 5], 12), np.tile([5, 7], 12)
    task, features = made(3, old_cameras)
    label_block(task, 100)
    assert read_labels(task.out)["sample_id"].to_pylist() == list(range(24))
    old = Place.at(tmp_path) / "old"
    index = Index(old / "index", LabelConfig(), True, None, {})
    record = index_block(task, index.place, 100)
    replace(index, groups={"uvi/0": record}).write()
    known, means = read_group(index.place, record)
    assert known.sample_ids.tolist() == list(range(100, 124))
    assert means is not None
    assert means.cameras.tolist() == [2, 5]
    compared = without_camera(features, old_cameras)
    np.testing.assert_array_equal(known.rows, compared)
    alone = pseudo_label(compared, **OPTIONS)
    np.testing.assert_array_equal(known.labels, alone.labels)

    later, features = made(4, new_cameras)
    against = Against(str(old.uri), read_index(old.uri))
    place = Place.at(tmp_path) / "new" / "index"
    found = label_block(later, 124, against, place)
    assert found.record is not None
    now, seen = read_group(place, found.record)
    assert seen is not None
    assert seen.cameras.tolist() == [2, 5, 7]
    np.testing.assert_array_equal(seen.means[:2], means.means)
    expected_means = camera_means(features, new_cameras, known=means)
    rows = without_means(features, new_cameras, expected_means)
    np.testing.assert_array_equal(now.rows, np.concatenate([compared, rows]))
    np.testing.assert_array_equal(now.lists, nearest(now.rows, 6).indices)
    labels = read_labels(later.out)
    assert labels["sample_id"].to_pylist() == list(range(24))
    np.testing.assert_array_equal(labels["label"].to_numpy(), now.labels[24:])
    assert found.facts["joined"] > 12
    # Features alone have no cameras.
    np.save(tmp_path / "rows.npy", features)
    request = LabelRequest(
        str(tmp_path / "out"), features=str(tmp_path / "rows.npy"), against=old.uri
    )
    with pytest.raises(FeatureError, match="features alone have no cameras"):
        label(request, Console(file=io.StringIO()))


@pytest.mark.ray
def test_labels_that_could_not_be_learnt_from_are_an_answer(
    local_ray: None, made: Callable[[int, np.ndarray], tuple[GroupTask, np.ndarray]]
) -> None:
    task, _ = made(3, np.tile([2, 5], 12))
    # Nothing is that near to three others.
    noise = replace(task.options, eps=1e-6, min_samples=4)
    found = label_block(replace(task, options=noise), 0)
    assert ["uvi/0" in note and "all images are outliers" in note for note in found.notes] == [True]
    assert found.facts["condition"] == "all_noise"
    assert set(read_labels(task.out)["label"].to_pylist()) == {-1}
    useless = replace(task.options, eps="auto", eps_candidates=(0.3, 0.4, 0.5), min_samples=20)
    with pytest.raises(LabelError, match=r"uvi/0: no eps gives labels.*0\.3 all_noise"):
        label_block(replace(task, options=useless), 0)
