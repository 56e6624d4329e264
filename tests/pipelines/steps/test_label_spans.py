"""Large groups as many Ray tasks: the labels of one process, on one machine and on three, one of which is lost."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import ray
from made import people

from itkm_core.clustering import pseudo_label
from itkm_core.neighbors import inverted, lists
from itkm_core.neighbors.workers import Threads
from pipelines.steps import label_spans
from pipelines.steps.label_spans import RayTasks, gpus_to_label, group_workers
from pipelines.telemetry.handle import Telemetry

ASKED = {"k1": 12, "k2": 3, "eps": 0.5, "recall": 0.9}


@pytest.mark.parametrize("backend", ["torch", "ivf"])
def test_labels_are_those_of_one_process(local_ray, monkeypatch, backend):
    for module in (inverted, lists):
        monkeypatch.setattr(module, "TOGETHER", 64)
    rows = people(60, dimension=16, noise=0.7)
    rows[100:120] = rows[3]
    expected = pseudo_label(rows, backend=backend, **ASKED)
    found = pseudo_label(
        rows, backend=backend, workers=RayTasks("label[test/0]", rows=200), **ASKED
    )
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert found.parameters == expected.parameters
    assert found.num_clusters > 20


def test_an_array_is_sent_once_and_let_go(local_ray):
    tasks = RayTasks("label[test/0]", rows=10)
    array = np.arange(12)
    first = tasks.share(array)
    assert tasks.share(array) is first
    reference = first.reference
    del first
    gc.collect()
    assert tasks.share(array).reference != reference


def _named_rows(start: int, stop: int, threads: int) -> tuple[str, int, int]:
    return ray.get_runtime_context().get_task_name(), start, stop


class Told(Telemetry):
    """Keeps what it is told."""

    def tell(self, kind: str, note: str) -> None:
        notes.append((kind, note))


notes: list[tuple[str, str]] = []


def test_spans_of_a_step_share_a_name_and_are_told_as_they_end(local_ray):
    notes.clear()
    found = RayTasks("label[uvi/1]", rows=10, telemetry=Told()).spans(_named_rows, 25, 1)
    name = "label[uvi/1] named rows"
    assert found == [(name, 0, 10), (name, 10, 20), (name, 20, 25)]
    assert notes == [("label", f"{name} {done}/3") for done in (1, 2, 3)]


def test_a_small_group_is_not_divided(local_ray, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert group_workers("label[test/0]", label_spans.MIN_ROWS) == Threads(1)
    divided = group_workers("label[test/0]", 100 * label_spans.MIN_ROWS)
    assert isinstance(divided, RayTasks)
    assert divided.threads == 1
    assert divided.rows == -(-100 * label_spans.MIN_ROWS // (2 * label_spans.TASKS_PER_CPU))


@pytest.mark.parametrize(
    ("nodes", "cpus", "num_tasks"),
    [([1], None, 0), ([2], 1, 16), ([1, 1, 1], 1, 24), ([64, 64], 8, 128), ([16, 4], 1, 160)],
)
def test_tasks_fit_the_machines(local_ray, monkeypatch, nodes, cpus, num_tasks):
    alive = [{"Alive": True, "Resources": {"CPU": float(count)}} for count in nodes]
    lost = {"Alive": False, "Resources": {"CPU": 64.0}}
    monkeypatch.setattr(
        label_spans.ray, "nodes", lambda: [*alive, lost, {"Alive": True, "Resources": {}}]
    )
    tasks = group_workers("label[test/0]", 10_000_000)
    if cpus is None:
        assert isinstance(tasks, Threads)
    else:
        assert isinstance(tasks, RayTasks)
        assert tasks.threads == cpus
        assert -(-10_000_000 // tasks.rows) == num_tasks


@pytest.mark.parametrize(
    ("images", "gpus", "share", "asked"),
    [
        (10**6, 2, None, 0.25),
        (10**6, 2, 1.0, 1.0),
        (10**6, 2, 0.0, 0.0),
        (10**6, 0, None, 0.0),
        (10**4, 2, None, 0.0),
    ],
)
def test_large_groups_ask_for_a_part_of_a_gpu_where_there_is_one(
    monkeypatch, images, gpus, share, asked
):
    found = {"CPU": 2.0, **({"GPU": float(gpus)} if gpus else {})}
    monkeypatch.setattr(label_spans.ray, "cluster_resources", lambda: found)
    assert gpus_to_label(images, share) == asked


@pytest.mark.timeout(900)
def test_labels_are_the_same_on_three_machines_of_which_one_is_lost(own_ray, tmp_path):
    """A cluster of three simulated nodes in a process of its own; `cluster_of_three.py` kills one in the middle."""
    script = Path(__file__).with_name("cluster_of_three.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=own_ray(tmp_path),
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "two tasks of half a GPU at once" in done.stdout
    assert "the same labels after the loss of a machine" in done.stdout
