"""Runs side by side, without Ray: order, bound, failures and logs; and the share of the cluster of each."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest

from itkm_core.errors import ConfigError, LabelError
from itkm_core.storage.place import Place
from pipelines.ablate.side_by_side import Job, side_by_side
from pipelines.config import ComputeConfig, load_config
from pipelines.console import Console
from pipelines.steps.extract import ENCODER_CPU, READ_CPU, plan_encoders
from pipelines.steps.shares import runs_at_once, usable
from pipelines.training.jobs import plan_trainers


def jobs(tmp_path: Path, count: int) -> list[Job]:
    place = Place.at(tmp_path)
    return [Job(k + 1, count, f"row-{k}", 0, place / "logs" / f"{k}.log") for k in range(count)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_than_asked_run_at_a_time_and_all_run(tmp_path: Path, at_once: int) -> None:
    lock, running, most, order = threading.Lock(), 0, 0, []

    def work(job: Job, log: Console) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append(job.number)
        time.sleep(0.05)
        with lock:
            running -= 1

    console = Console(file=io.StringIO(), width=200)
    assert side_by_side(jobs(tmp_path, 7), work, at_once=at_once, console=console) == {}
    assert most == at_once
    assert sorted(order) == list(range(1, 8))
    if at_once == 1:
        assert order == list(range(1, 8))


def test_a_failure_ends_no_other_and_is_told_and_logged(tmp_path: Path) -> None:
    def work(job: Job, log: Console) -> None:
        log.print(f"words of {job.name}")
        if job.number == 1:
            raise LabelError("all noise; lower labels.eps\nand more")
        if job.number == 2:
            raise ZeroDivisionError("a fault")

    out = io.StringIO()
    console = Console(file=out, width=300)
    failures = side_by_side(
        jobs(tmp_path, 3), work, at_once=1, console=console, on_end=lambda job: "mAP 12.0"
    )
    assert failures == {
        ("row-0", 0): "all noise; lower labels.eps\nand more",
        ("row-1", 0): "ZeroDivisionError: a fault",
    }
    lines = out.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("run 1 of 3  row-0, seed 0: started")
    assert any("run 1 of 3  row-0, seed 0: failed after 0 s: all noise" in line for line in lines)
    assert any("run 3 of 3  row-2, seed 0: done in 0 s, mAP 12.0" in line for line in lines)
    logs = [(tmp_path / "logs" / f"{k}.log").read_text() for k in range(3)]
    assert "words of row-0\nerror all noise" in logs[0]
    assert "Traceback" not in logs[0]
    assert "Traceback" in logs[1]
    assert logs[2] == "words of row-2\n"


def test_no_job_starts_after_an_interruption(tmp_path: Path) -> None:
    begun: list[int] = []
    interrupted = threading.Event()
    before = set(threading.enumerate())

    def stop(job: Job) -> str:
        raise KeyboardInterrupt

    def work(job: Job, log: Console) -> None:
        begun.append(job.number)
        if job.number > 1:
            interrupted.wait()

    console = Console(file=io.StringIO())
    with pytest.raises(KeyboardInterrupt):
        side_by_side(jobs(tmp_path, 20), work, at_once=2, console=console, on_end=stop)
    interrupted.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert set(begun) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("cpus", "gpus", "compute", "runs", "expected"),
    [
        (2, 0, {}, 45, 1),  # a laptop
        (1, 0, {}, 45, 1),
        (16, 0, {}, 45, 8),
        (16, 0, {}, 3, 3),
        (16, 0, {"num_workers": 4}, 45, 4),
        (64, 8, {}, 45, 8),
        (64, 8, {"num_workers": 2}, 45, 4),
        (64, 8, {"gpus_per_worker": 0.5}, 45, 8),  # never a part of a GPU to a whole run
        (64, 8, {"gpus_per_worker": 0}, 45, 32),
        (4, 8, {}, 45, 4),
    ],
)
def test_runs_at_once(
    cpus: int, gpus: int, compute: dict[str, float], runs: int, expected: int
) -> None:
    resources = {"CPU": float(cpus), "GPU": float(gpus)}
    assert runs_at_once(resources, ComputeConfig.model_validate(compute), runs) == expected


def test_more_runs_than_the_cluster_can_part_are_refused() -> None:
    assert runs_at_once({"CPU": 3.0}, ComputeConfig(), 9, asked=3) == 3
    assert runs_at_once({"CPU": 3.0}, ComputeConfig(), 2, asked=3) == 2
    with pytest.raises(ConfigError, match="--at-once is 4; on a cluster of 3 CPUs and 0 GPUs 3"):
        runs_at_once({"CPU": 3.0}, ComputeConfig(), 9, asked=4)
    with pytest.raises(ConfigError, match="2 is the most"):
        runs_at_once({"CPU": 8.0, "GPU": 2.0}, ComputeConfig(), 9, asked=3)


@pytest.mark.parametrize(
    ("cpus", "gpus"),
    [(cpus, gpus) for cpus in (1, 2, 3, 5, 7, 16, 61, 96) for gpus in (0, 1, 5, 8) if gpus <= cpus],
)
def test_the_shares_of_all_runs_fit_the_cluster_at_once(cpus: int, gpus: int) -> None:
    """The reason why no run can wait for another for ever; see the head of shares.py."""
    resources = {"CPU": float(cpus), "GPU": float(gpus), "memory": 1.0}
    config = load_config("tiny")
    most = min(gpus, cpus) if gpus else cpus
    for asked in range(1, most + 1):
        beside = runs_at_once(resources, config.compute, 999, asked)
        part = usable(resources, 1 / beside)
        assert part["CPU"] >= 1
        assert part["GPU"] >= min(gpus, 1)
        workers = plan_trainers(config.compute, part, [resources])
        encoders = plan_encoders(config.compute, part, [resources])
        assert beside * workers.number * workers.cpus <= cpus + 1e-6
        assert beside * workers.number * workers.gpus <= gpus + 1e-6
        assert beside * encoders.number * encoders.cpus <= cpus
        assert beside * encoders.number * encoders.gpus <= gpus
        left = cpus - beside * encoders.number * encoders.cpus
        assert left >= READ_CPU, "no CPU to read with"
        assert encoders.cpus % ENCODER_CPU == 0


def test_a_run_alone_counts_on_the_whole_cluster() -> None:
    resources = {"CPU": 7.0, "GPU": 3.0, "memory": 1e9}
    assert usable(resources, 1.0) == resources
