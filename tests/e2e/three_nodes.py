"""Run by test_nodes.py: a run on three simulated machines that loses one of them in each kind of step.

    python three_nodes.py BASE CORPUS OUT '[COMMAND, ...]' '[COMMAND, ...]' OVERRIDE...

Commands of `itkm`, each a list of its arguments, come before the run and after it. A step that is to be cut off waits
on the machine it began on until that machine is killed, so no loss hangs on luck. A machine is added after each,
or there would be no room. The last line says in JSON what happened.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import ray
from cut_off import after_a_checkpoint
from ray.cluster_utils import Cluster

from itkm_core.storage.place import Place
from pipelines.cli import app
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.run import steps
from pipelines.run.command import run_pipeline
from pipelines.session import ray_session
from pipelines.steps import extract
from pipelines.training import jobs as train

MEMORY = 100 * 2**20
STEPS = ("extract", "label", "train")
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Marks:
    """What workers and the killer tell each other, by files: `<step>-<machine>` began, `<step>.lost` is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hold(self, step: str) -> None:
        lost = self.folder / f"{step}.lost"
        if lost.exists():
            return
        machine = ray.get_runtime_context().get_node_id()
        (self.folder / f"{step}-{machine}").touch()
        while not lost.exists():
            time.sleep(0.05)

    def machine(self, step: str, run: Future[object]) -> str:
        """Where the step began first."""
        while not (found := sorted(self.folder.glob(f"{step}-*"))):
            assert not run.done(), run.exception() or f"the run has ended without {step}"
            time.sleep(0.05)
        return found[0].name.partition("-")[2]


def cut_off(marks: Marks, training: Place) -> None:
    """Make the steps wait for the loss of their machine."""
    encoder, label_group, train_loop = extract.Extractor, steps.label_group, train.train_loop

    class Extractor(encoder):
        def __call__(self, block):
            marks.hold("extract")
            return super().__call__(block)

    def label(task):
        marks.hold("label")
        return label_group(task)

    extract.Extractor, steps.label_group = Extractor, label
    train.train_loop = after_a_checkpoint(train_loop, training, lambda: marks.hold("train"))


class Machines:
    """A head with no CPUs to give, where the driver is, and two workers with nothing in common but the storage."""

    def __init__(self, base: Path) -> None:
        self.base, self.added = base, 0
        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        self.cluster = Cluster(True, head_node_args=head | self._own())
        self.logs = Path(self.cluster.head_node.get_logs_dir_path())
        self.workers = [self.add() for _ in range(2)]
        self.cluster.wait_for_nodes()

    def _own(self) -> dict[str, object]:
        """A home, a cache and a temporary folder that no other machine has."""
        self.added += 1
        own = self.base / str(self.added)
        folders = {"HOME": own / "home", "ITKM_CACHE": own / "cache", "TMPDIR": own / "tmp"}
        for folder in folders.values():
            folder.mkdir(parents=True)
        variables = {name: str(folder) for name, folder in folders.items()}
        # What it would print on the driver's screen is in the files that are looked into.
        return {"env_vars": variables, "include_log_monitor": False}

    def add(self):
        return self.cluster.add_node(num_cpus=2, object_store_memory=MEMORY, **self._own())

    def lose(self, machine: str) -> None:
        (lost,) = [worker for worker in self.workers if worker.node_id == machine]
        self.cluster.remove_node(lost, allow_graceful=False)
        self.workers.remove(lost)

    def caches(self) -> list[str]:
        """The machines that have a copy of a shard."""
        return sorted(path.parts[-4] for path in self.base.glob("*/cache/*/part-*.arrow"))

    def logs_with(self, names: Sequence[str]) -> list[str]:
        """Ray's logs of all machines in which a variable's value is."""
        values = [os.environ[name].encode() for name in names]
        logs = [path for path in self.logs.rglob("*") if path.is_file()]
        assert logs
        return [str(path) for path in logs if any(value in path.read_bytes() for value in values)]


def main(
    base: Path,
    corpus: str,
    out: str,
    before: list[list[str]],
    after: list[list[str]],
    overrides: list[str],
) -> None:
    marks = Marks(base / "marks")
    marks.folder.mkdir(parents=True)
    cut_off(marks, Place.at(out) / "round-001" / "train")
    machines = Machines(base)
    os.environ["RAY_ADDRESS"] = machines.cluster.address
    config, lost = load_config("tiny", overrides), {}
    try:
        commanded(before)
        # Ray starts machines in the main thread only, so the run is in another.
        with ray_session(Console()):
            assert ray.get_runtime_context().get_node_id() == machines.cluster.head_node.node_id
            run = ThreadPoolExecutor(1).submit(run_pipeline, config, corpus, out, Console())
            for step in STEPS:
                machines.lose(marks.machine(step, run))
                lost[step] = time.time()
                (marks.folder / f"{step}.lost").touch()
                machines.workers.append(machines.add())
            run.result()
        commanded(after)
        said = {
            "lost": lost,
            "caches": machines.caches(),
            "logs with secrets": machines.logs_with(SECRETS),
        }
        machines.cluster.shutdown()
        print(json.dumps(said), flush=True)
    except BaseException:  # noqa: BLE001 - the last stop of this process
        traceback.print_exc()
        os._exit(1)  # the run's thread may wait for Ray for ever; Ray's processes end with this one


def commanded(commands: list[list[str]]) -> None:
    for arguments in commands:
        print("$ itkm", *arguments, flush=True)
        app(args=arguments, standalone_mode=False)


if __name__ == "__main__":
    base, corpus, out, before, after, *overrides = sys.argv[1:]
    main(Path(base), corpus, out, json.loads(before), json.loads(after), overrides)
