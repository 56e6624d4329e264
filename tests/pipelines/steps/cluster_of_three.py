"""Run by test_label_spans.py: labels on three simulated machines, one of which is killed in the middle of a span."""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster

from itkm_core.clustering import pseudo_label
from pipelines.steps.label_spans import RayTasks, own_device
from pipelines.steps.tasks import remote

MEMORY = 100 * 2**20


class Begun:
    """A step that writes down on which machine it began, and then takes long enough to be cut off."""

    def __init__(self, step, folder: Path) -> None:
        self.step, self.folder, self.__name__ = step, folder, step.__name__

    def __call__(self, *arguments):
        machine = ray.get_runtime_context().get_node_id()
        (self.folder / f"{machine}-{uuid.uuid4()}").touch()
        time.sleep(0.5)
        return self.step(*arguments)


class Interrupted(RayTasks):
    """Loses a machine as soon as a span of `step` has begun there."""

    def __init__(self, step: str, cluster: Cluster, lost, folder: Path) -> None:
        super().__init__("label[test/0]", rows=200)
        self.step, self.cluster, self.lost, self.folder = step, cluster, lost, folder

    def spans(self, step, num_rows, multiple, *arguments):
        if step.__name__ != self.step:
            return super().spans(step, num_rows, multiple, *arguments)
        killer = threading.Thread(target=self._kill)
        killer.start()
        found = super().spans(Begun(step, self.folder), num_rows, multiple, *arguments)
        killer.join()
        num_spans = -(-num_rows // self.rows)
        begun = len(list(self.folder.iterdir()))
        assert begun > num_spans, f"{begun} began of {num_spans}: nothing was done again"
        return found

    def _kill(self) -> None:
        while not any(self.folder.glob(f"{self.lost.node_id}-*")):
            time.sleep(0.02)
        self.cluster.remove_node(self.lost, allow_graceful=False)


def ask_for_gpus(cluster: Cluster) -> None:
    """Two label tasks share a machine's one GPU, and with no CUDA behind it each searches on the processor.

    The GPU is a number that Ray was told: what is tried is where tasks go and what they find there.
    """
    machine = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda _: remote(who, "label[test/0]", Path(folder), gpus=0.5), range(2))
        )
    homes, devices = zip(*found, strict=True)
    assert set(homes) == {machine.node_id}
    assert set(devices) == {None}
    print("two tasks of half a GPU at once", flush=True)
    cluster.remove_node(machine)


def who(folder: Path) -> tuple[str, str | None]:
    """Where it runs and on what, as soon as two run at once."""
    (folder / str(uuid.uuid4())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < deadline, "the other task has not begun"
        time.sleep(0.05)
    machine = ray.get_runtime_context().get_node_id()
    assert len(ray.get_runtime_context().get_accelerator_ids()["GPU"]) <= 1
    return machine, own_device()


def main() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((150, 16)), 8, axis=0)
    rows = (centres + 0.7 * rng.standard_normal(centres.shape)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked = {"k1": 12, "k2": 3, "eps": 0.5, "backend": "torch"}
    expected = pseudo_label(rows, **asked)

    # The machine that divides the work computes nothing itself.
    own = {"object_store_memory": MEMORY, "include_log_monitor": False}  # a process less
    head = {"num_cpus": 0, "include_dashboard": False, **own}
    cluster = Cluster(True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, **own) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        ask_for_gpus(cluster)
        with tempfile.TemporaryDirectory() as folder:
            tasks = Interrupted("_exact_lists", cluster, nodes[0], Path(folder))
            found = pseudo_label(rows, workers=tasks, **asked)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.confidence, expected.confidence)
        print("the same labels after the loss of a machine", flush=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
