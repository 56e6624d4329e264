"""What a labelling task asks Ray for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import ray

from itkm_core.clustering import LabelOptions
from itkm_core.clustering.footprint import LIBRARIES, estimate_memory
from itkm_core.errors import FeatureError, LabelError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.config import make_config
from pipelines.steps.label import GroupTask
from pipelines.steps.label_resources import resources_needed

OPTIONS = LabelOptions(k1=30, k2=6, eps=0.5, min_samples=4)


def machines(
    monkeypatch: pytest.MonkeyPatch,
    *memory: int,
    gpus: tuple[int, ...] = (),
    cpus: tuple[int, ...] = (),
) -> None:
    nodes = []
    for at, each in enumerate(memory):
        found = {"CPU": float(cpus[at] if cpus else 2), "memory": float(each)}
        found |= {"GPU": float(gpus[at])} if gpus and gpus[at] else {}
        nodes.append({"Alive": True, "Resources": found})
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    total = {"CPU": 2.0, "GPU": float(sum(gpus))}
    monkeypatch.setattr(ray, "cluster_resources", lambda: total)


def memory_needed(images: SimpleNamespace, task: GroupTask) -> float:
    return resources_needed(images, task, make_config({}))["memory"]


@pytest.fixture
def task(tmp_path) -> GroupTask:
    features = pa.FixedSizeListArray.from_arrays(np.ones(64, np.float32), 64)
    place = Place.at(tmp_path) / "features"
    (place / "scenario=uvi" / "part-0.parquet").write_table(
        pa.table({"sample_id": [0], "feature": features})
    )
    return GroupTask("corpus", Block("uvi", 1), place, Place.at(tmp_path) / "out", None, OPTIONS)


def corpus(num_images: int) -> SimpleNamespace:
    return SimpleNamespace(counts={("uvi", 1, "train"): num_images})


def test_a_task_asks_for_what_the_estimate_says(task, monkeypatch):
    machines(monkeypatch, 10**9, 10**11)
    expected = estimate_memory(500_000, 64, k1=30, k2=6, copies=1, divided=True)
    assert memory_needed(corpus(500_000), task) == expected
    assert memory_needed(corpus(10), task) < LIBRARIES + 10**6


def test_what_no_machine_has_is_refused_instead_of_waited_for(task, monkeypatch):
    machines(monkeypatch, 10**9, 3 * 10**9)
    with pytest.raises(
        LabelError, match=r"uvi/1: labelling 5,000,000 .* more than 3.0 GB: lower labels.k1"
    ):
        memory_needed(corpus(5_000_000), task)


def test_no_features_are_said_to_be_missing(task, monkeypatch):
    machines(monkeypatch, 10**11)
    task.features.clear()
    with pytest.raises(FeatureError, match="no features there"):
        memory_needed(corpus(10), task)


def test_a_gpu_is_asked_for_only_where_the_memory_is_too(task, monkeypatch):
    few, many = corpus(100_000), corpus(2_000_000)
    machines(monkeypatch, 8 * 10**9, 10**11, gpus=(1, 0))
    assert resources_needed(few, task, make_config({}))["gpus"] == 0.25
    found = resources_needed(many, task, make_config({}))
    assert found["gpus"] == 0  # the machine with the GPU has not the memory
    assert found["memory"] > 8 * 10**9
    whole = make_config({}, ["compute.gpus_per_label=2"])
    assert resources_needed(few, task, whole)["gpus"] == 0  # no machine has two


def test_a_head_that_takes_no_tasks_is_no_place_for_one(task, monkeypatch):
    machines(monkeypatch, 10**12, 3 * 10**9, cpus=(0, 2))
    with pytest.raises(LabelError, match=r"more than 3.0 GB"):
        memory_needed(corpus(5_000_000), task)
    machines(monkeypatch, 10**12, cpus=(0,))
    assert memory_needed(corpus(5_000_000), task) > 10**10  # machines may come
