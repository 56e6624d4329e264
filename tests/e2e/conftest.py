"""The command line in processes of its own, and one small corpus and one whole run for all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Once = Callable[[str, Callable[[Path], object]], Path]

# Ray gives itself 30 seconds to start, which a very busy machine exceeds.
TOO_BUSY = "timed out during startup"
ITKM = [sys.executable, "-m", "pipelines.cli"]
SMALL = [
    "only=[ucc, uvi]",
    "homogeneous_rounds=1",
    "heterogeneous_rounds=1",
    "homogeneous.steps_per_round=6",
    "homogeneous.clusters_per_group=4",
    "homogeneous.lr=1e-4",
    "prompts.steps=10",
    "prompts.clusters_per_group=4",
    "compute.checkpoint_every=2",
    "extract_precision=fp32",  # bf16 makes steps of 1e-3 of what two workers sum up differently
    "compute.num_extractors=1",  # test_nodes.py has two
]


@dataclass(frozen=True)
class Itkm:
    """The command in an environment of its own, so that no token, cache or cluster of the user's takes part."""

    environment: dict[str, str]
    corpus: Path

    def done(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        for _ in range(3):
            done = subprocess.run(
                [*ITKM, *arguments],
                env=self.environment,
                cwd=cwd,
                capture_output=True,
                text=True,
                timeout=900,
            )
            if TOO_BUSY not in done.stderr:
                break
        return done

    def ok(self, *arguments: str) -> str:
        """What the command says, of which nothing is said when it does not end well."""
        done = self.done(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, out: Path, *overrides: str) -> list[str]:
        """Arguments of a small run."""
        return ["run", "--corpus", str(self.corpus), "--out", str(out), *SMALL, *overrides]

    def killed(self, out: Path, moment: str, *overrides: str, seconds: float = 600) -> None:
        """Start a small run and kill its driver as soon as a file that matches `moment` is in `out`."""
        log = out.with_name(f"{out.name}.log")
        with log.open("w") as said:
            process = subprocess.Popen(
                [*ITKM, *self.run(out, *overrides)],
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not any(out.glob(moment)):
            if process.poll() is not None and TOO_BUSY in log.read_text():
                return self.killed(out, moment, *overrides, seconds=seconds)
            assert process.poll() is None, f"ended before {moment} came: {log.read_text()}"
            assert time.monotonic() < deadline, f"{moment} did not come"
            time.sleep(0.02)
        process.kill()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def itkm(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Itkm:
    """The command, with a corpus of 16 people and 4 pictures a person and group."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "ITKM_CACHE")}
    environment = {**kept, "HOME": str(tmp_path_factory.mktemp("home")), "RAY_AUTH_MODE": "token"}

    def make(base: Path) -> None:
        made = Itkm(environment, base / "corpus")
        made.ok("synth", "--people", "16", "--images", "4", "--out", str(base / "people"))
        made.ok("ingest", "--as", "synthetic", str(base / "people"), "--out", str(made.corpus))

    return Itkm(environment, once("e2e", make) / "corpus")


@pytest.fixture(scope="session")
def whole(itkm: Itkm, once: Once) -> Path:
    """A small run from beginning to end, by one training worker; beside it stdout and stderr."""

    def make(base: Path) -> None:
        done = itkm.done(*itkm.run(base / "run"))
        assert done.returncode == 0, done.stdout + done.stderr
        (base / "stdout").write_text(done.stdout)
        (base / "stderr").write_text(done.stderr)

    return once("whole", make) / "run"


@pytest.fixture(scope="session")
def first_round(whole: Path) -> Callable[[Path], None]:
    """first_round(out) -> the folder of a run whose first round is done: that of the whole one."""

    def copy(out: Path) -> None:
        shutil.copytree(whole / "round-001", out / "round-001")
        shutil.copy(whole / "config.yaml", out)

    return copy


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Those of the store of flaky_s3.py, for this process too. The store's address is in no variable."""
    from flaky_s3 import ACCESS_KEY, SECRET_KEY

    given = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return given


@pytest.fixture(scope="session")
def facts() -> Callable[[Path, str], dict[str, object]]:
    """facts(run, step) -> what the step's manifest says."""
    import json

    def read(run: Path, step: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((run / step / "manifest.json").read_text())["facts"]
        return found

    return read


@pytest.fixture(scope="session")
def labels_of() -> Callable[[Path], list[dict[str, object]]]:
    """labels_of(run) -> its pseudo-labels, a row an image."""
    import pyarrow.parquet as pq

    def read(run: Path) -> list[dict[str, object]]:
        table = pq.read_table(run / "pseudo_labels.parquet")
        return table.select(["sample_id", "scenario", "group", "label", "is_core"]).to_pylist()

    return read
