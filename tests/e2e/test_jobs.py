"""cluster_configs/jobs on a real head: submitted, refused, stopped in mid-round, submitted again."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import told
from job_head import ROOT, Head, shown, started_head, until

# What a checkout may hold beside the code, some of it named as the code is.
LUMBER = (".git/objects/pack", ".venv/lib/pipelines/x.py", "demo/corpus/part-00000.parquet", ".env")


@pytest.fixture(scope="module")
def head(itkm: Any) -> Iterator[Head]:
    with started_head(itkm.environment) as made:
        yield made


def with_command(words: list[str], command: list[str]) -> list[str]:
    return [*words[: words.index("--") + 1], *command]


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_a_job_stopped_in_mid_round_goes_on_when_its_line_is_submitted_again(
    head: Head,
    itkm: Any,
    first_round: Callable[[Path], None],
    whole: Path,
    tmp_path: Path,
    labels_of: Callable[[Path], Any],
) -> None:
    out = tmp_path / "run"
    first_round(out)
    line = with_command(
        shown("ray job submit", "itkm run --recipe joint"),
        ["itkm", *itkm.run(out, "compute.num_extractors=1")],
    )

    refused = head.ray(line, RAY_AUTH_TOKEN="", RAY_AUTH_TOKEN_PATH="", HOME=str(tmp_path))
    assert refused.returncode != 0
    assert "authentication token" in refused.stdout + refused.stderr
    assert head.ask("/api/jobs/") == []

    asked = time.time()
    first = head.submit(line)
    with head.following(first, tmp_path / "first.log"):
        moment = "round-002/train/ray_train/*/checkpoint_*"
        until(lambda: any(out.glob(moment)) or head.job(first)["status"] == "FAILED", moment)
        reached = time.time()
        metrics = told.metrics_now(head.ask)
        stopped = head.ray(["ray", "job", "stop", first])
    first_step, prompts = (
        json.loads((out / f"round-002/{step}/manifest.json").read_text())
        for step in ("frozen", "prompts")
    )
    trained = prompts["started"] + prompts["facts"]["start_seconds"]
    print(  # `pytest -s`
        f"`ray job submit` to its first step: {first_step['started'] - asked:.1f} s, to the first step of a training: "
        f"{trained - asked:.1f} s; from the second training step to STOPPED: "
        f"{head.job(first)['end_time'] / 1000 - reached:.1f} s"
    )
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    facts = head.job(first)
    assert (facts["status"], facts["message"]) == ("STOPPED", "Job was intentionally stopped.")
    assert facts["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "30"
    supervisor = next(head.folder.glob(f"session_2*/logs/**/supervisor-{first}.log")).read_text()
    assert "has been terminated gracefully with SIGTERM" in supervisor
    said = (tmp_path / "first.log").read_text()
    ending = said.partition("interrupted; the same command continues from the last complete step")
    assert ending[1]
    assert "was stopped" in ending[2]
    assert "handler" not in said  # what a thread says that starts Ray anew after the end
    assert "Traceback" not in said
    assert len(head.ask("/api/jobs/")) == 1
    assert not (out / "round-002/train/manifest.json").exists()

    second = head.submit(line)
    until(lambda: head.job(second)["status"] in ("SUCCEEDED", "FAILED"), "the run ends")
    metrics += told.metrics_now(head.ask)  # before the ports forget it
    said += head.ask(f"/api/jobs/{second}/logs")["logs"]
    assert head.job(second)["status"] == "SUCCEEDED", said
    assert head.job(second)["driver_exit_code"] == 0
    assert "drawn people; for photographs use --recipe joint" in said  # a line of more than 80
    assert labels_of(out) == labels_of(whole)
    told.check_metrics(metrics)
    told.check_names(head.ask, [head.job(each)["job_id"] for each in (first, second)])

    assert head.token not in said + json.dumps(head.ask("/api/jobs/"))
    for log in head.folder.glob("session_2*/logs/**/*"):
        assert log.is_dir() or head.token.encode() not in log.read_bytes(), log


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_a_job_of_ones_own_code_that_cannot_run_says_what_to_change(
    head: Head, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    for package in ("itkm_core", "pipelines"):
        shutil.copytree(ROOT / package, checkout / package)
    for each in LUMBER:
        (checkout / each).parent.mkdir(parents=True, exist_ok=True)
        (checkout / each).write_text("not for the nodes")
    (checkout / "cluster_configs/jobs").mkdir(parents=True)
    page = "cluster_configs/jobs/runtime_env.yaml"
    shutil.copy(ROOT / page, checkout / page)
    module = checkout / "pipelines/__init__.py"
    module.write_text(module.read_text() + 'print("of this checkout")\n')

    words = shown("ray job submit", "--working-dir .")
    assert words[words.index("--") + 1 :][:3] == ["python", "-m", "pipelines.cli"]
    job = head.submit([word.replace("/data", str(tmp_path)) for word in words], cwd=checkout)
    until(lambda: head.job(job)["status"] in ("SUCCEEDED", "FAILED"), "the job ends")
    facts = head.job(job)
    assert (facts["status"], facts["driver_exit_code"]) == ("FAILED", 2), facts
    assert "of this checkout" in facts["message"]
    # one line, unbroken
    assert re.search(rf"error no corpus at {re.escape(str(tmp_path))}/corpus\b", facts["message"])
    assert "Traceback" not in facts["message"]
    assert not (tmp_path / "runs").exists()

    (shipped,) = head.folder.glob("session_2*/runtime_resources/working_dir_files/_ray_pkg_*/")
    assert {each.name for each in shipped.iterdir()} == {"itkm_core", "pipelines"}
    assert sum(each.stat().st_size for each in shipped.rglob("*") if each.is_file()) < 50 * 2**20
