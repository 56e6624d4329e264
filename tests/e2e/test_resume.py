"""The command line end to end: a driver killed at any moment, and the same command again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ITKM = [sys.executable, "-m", "pipelines.cli"]
SMALL = [
    "rounds=2",
    "homogeneous.steps_per_round=6",
    "homogeneous.clusters_per_group=4",
    "compute.checkpoint_every=2",
    "evaluate_every_round=false",
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A HOME of its own, so that no token, cache or cluster of the user's takes part."""
    home = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "ITKM_CACHE")}
    return {**kept, "HOME": str(home), "RAY_AUTH_MODE": "token"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    base = tmp_path_factory.mktemp("made")
    itkm(environment, "synth", "--people", "16", "--images", "4", "--out", str(base / "people"))
    itkm(environment, "ingest", "--as", "synthetic", str(base / "people"), "--out", str(base / "c"))
    return base / "c"


def itkm(environment: dict[str, str], *arguments: str, ok: bool = True) -> str:
    done = subprocess.run(
        [*ITKM, *arguments], env=environment, capture_output=True, text=True, timeout=240
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, output
    return output


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*ITKM, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def labels_of(run: Path) -> list[dict[str, object]]:
    table = pq.read_table(run / "pseudo_labels.parquet")
    return table.select(["sample_id", "scenario", "group", "label", "is_core"]).to_pylist()


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_killed_driver_goes_on_and_ends_with_the_same_labels(
    corpus: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    command = ["run", "--corpus", str(corpus), *SMALL]
    itkm(environment, *command, "--out", str(whole))

    # In mid-labelling of round 1, then in mid-training of round 2 (after its first checkpoint).
    for moment in ("round-001/label/*/manifest.json", "round-002/train/ray_train/checkpoint_*"):
        process = start(environment, *command, "--out", str(broken))
        folder, name = moment.rsplit("/", 1)
        wait_for_any(broken, folder, name, process)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        assert not (broken / "pseudo_labels.parquet").exists()
    output = itkm(environment, *command, "--out", str(broken))

    assert "reused" in output
    assert labels_of(broken) == labels_of(whole)
    again = itkm(environment, *command, "--out", str(broken))
    assert again.count("reused") == len(list(broken.rglob("manifest.json")))
    refused = itkm(environment, *command, "labels.eps=0.4", "--out", str(broken), ok=False)
    assert "labels.eps: 0.5 there, 0.4 now" in refused
    assert "Traceback" not in refused


def wait_for_any(
    run: Path, folder: str, name: str, process: subprocess.Popen[bytes], seconds: float = 200
) -> None:
    deadline = time.monotonic() + seconds
    while not any(run.glob(f"{folder}/{name}")):
        assert process.poll() is None, f"the run ended before {folder}/{name} came"
        assert time.monotonic() < deadline, f"{folder}/{name} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--corpus", "nowhere", "--out", "out"], "no corpus at"),
        (["run", "--corpus", "nowhere", "--out", "out", "labels.epz=1"], "labels.epz"),
        (["evaluate", "nowhere"], "no run at"),
        (["ingest", "--as", "folder", "nowhere", "--out", "out"], "nowhere"),
        (["config", "--recipe", "nope"], "no recipe"),
        (["run", "--out", "out"], "--corpus"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [*ITKM, *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())
