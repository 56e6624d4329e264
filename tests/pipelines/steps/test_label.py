"""A label step's guard: labels that cannot be learnt from are never handed on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made import unit

from itkm_core.clustering import LabelOptions, pseudo_label
from itkm_core.clustering.cameras import without_camera
from itkm_core.clustering.centroids import cluster_means
from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, finish_corpus, write_shard
from itkm_core.errors import LabelError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import part_folder, read_features
from pipelines.artifacts.labels import read_centroids, read_labels
from pipelines.steps.label import GroupTask, label_group

ASKED = {"k1": 6, "k2": 2, "eps": 0.5, "min_samples": 2}
OPTIONS = LabelOptions(**ASKED)
NOISE = {"eps": 1e-6, "min_samples": 4}  # nothing is that near to three others


IDS = np.arange(0, 72, 3)  # of the block's training images
CAMERAS = np.tile([0, 1], 12)  # of these


@pytest.fixture
def task(tmp_path: Path) -> GroupTask:
    """A corpus with 24 training images of one block, around six directions, among others of other parts."""
    rows = pa.table(
        {
            "uri": [f"{i}.png" for i in range(72)],
            "scenario": ["uvi"] * 72,
            "group": [0, 1, 0] * 24,
            "camera": np.stack([CAMERAS, 2 + CAMERAS, 1 - CAMERAS], axis=1).ravel(),
            "tracklet": [-1] * 72,
            "frame": [-1] * 72,
            "split": ["train", "train", "query"] * 24,
            "person": [-1] * 72,
            "clothes": [-1] * 72,
            "height": [1] * 72,
            "width": [1] * 72,
            "num_bytes": [1] * 72,
            "digest": [image_digest(bytes([i])) for i in range(72)],
        },
        schema=ACCEPTED_SCHEMA,
    )
    root = str(tmp_path / "corpus")
    write_shard(root, 0, 0, rows, [bytes([i]) for i in range(72)])
    finish_corpus(root, rows, [(0, 72)], REJECTED_SCHEMA.empty_table())
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(6, 16)), 4, axis=0)
    features = unit(centres + 0.05 * rng.normal(size=(24, 16)))
    column = pa.FixedSizeListArray.from_arrays(features.ravel(), 16)
    base = Place.at(tmp_path)
    place = base / "features" / part_folder(Block("uvi", 0), "train") / "from-0.parquet"
    place.write_table(pa.table({"sample_id": IDS, "feature": column}))
    return GroupTask(root, Block("uvi", 0), base / "features", base / "first", None, OPTIONS)


def again(task: GroupTask, **options: float) -> GroupTask:
    """The next round of the same group."""
    out = Place(task.out.uri + "-again")
    return replace(task, out=out, previous=task.out, options=replace(OPTIONS, **options))


def test_the_table_names_the_training_images_of_the_block_alone(task: GroupTask) -> None:
    label_group(task)
    table = read_labels(task.out)
    assert table["sample_id"].to_pylist() == IDS.tolist()
    assert set(table["scenario"].to_pylist()) == {"uvi"}
    assert set(table["group"].to_pylist()) == {0}


def test_labels_of_the_same_features_agree_with_the_round_before(task: GroupTask) -> None:
    digest, facts = label_group(task)
    assert (facts["clusters"], facts["condition"], facts["agreement"]) == (6, "ok", None)
    same, facts = label_group(again(task))
    assert same == digest
    assert facts["agreement"] == pytest.approx(1.0)


def test_all_noise_keeps_the_labels_of_the_round_before_and_warns(task: GroupTask) -> None:
    label_group(task)
    kept = again(task, **NOISE)
    _, facts = label_group(kept)
    assert facts["condition"] == "all_noise"
    assert "kept" in facts["warning"]
    assert "uvi/0" in facts["warning"]
    assert read_labels(kept.out).equals(read_labels(task.out))


def test_all_noise_in_the_first_round_stops(task: GroupTask) -> None:
    with pytest.raises(LabelError, match="Raise eps"):
        label_group(replace(task, options=replace(OPTIONS, **NOISE)))


AUTO = replace(OPTIONS, eps="auto", eps_candidates=(0.3, 0.4, 0.5))


def test_a_chosen_eps_is_written_down_with_its_reason(task: GroupTask) -> None:
    features = read_features(task.features, IDS, Block("uvi", 0))
    _, facts = label_group(replace(task, options=AUTO))
    parameters = (task.out / "parameters.json").read_json()
    assert facts["eps"] == parameters["eps"]
    assert facts["eps_reason"] == parameters["eps_reason"]
    assert "labels change least" in facts["eps_reason"]
    assert parameters["eps_asked"] == "auto"
    assert [point["eps"] for point in parameters["sweep"]["points"]] == [0.3, 0.4, 0.5]
    expected = pseudo_label(features, **{**ASKED, "eps": facts["eps"]}).labels
    np.testing.assert_array_equal(read_labels(task.out)["label"].to_numpy(), expected)


def test_where_no_candidate_serves_the_labels_before_are_kept_or_the_run_stops(
    task: GroupTask,
) -> None:
    useless = replace(AUTO, min_samples=20)
    with pytest.raises(LabelError, match=r"uvi/0: no eps gives labels.*0\.3 all_noise"):
        label_group(replace(task, options=useless))
    label_group(replace(task, options=AUTO))
    kept = replace(again(task), options=useless)
    _, facts = label_group(kept)
    assert (facts["condition"], facts["eps"]) == ("all_noise", None)
    assert "no eps gives labels" in facts["warning"]
    assert "kept" in facts["warning"]
    assert read_labels(kept.out).equals(read_labels(task.out))


def test_labels_may_be_of_features_without_their_camera(task: GroupTask) -> None:
    features = read_features(task.features, IDS, Block("uvi", 0))
    label_group(replace(task, without_camera=True))
    found = read_labels(task.out)["label"].to_numpy()
    expected = pseudo_label(without_camera(features, CAMERAS), **ASKED).labels
    np.testing.assert_array_equal(found, expected)
    # What is learnt from is the features as they are.
    np.testing.assert_allclose(read_centroids(task.out), cluster_means(features, found))
