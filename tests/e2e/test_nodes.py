"""A run on machines that share nothing but the run's folder, and the loss of one of them in every kind of step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def seconds(run: Path, step: str) -> float:
    """Of a step of round 1; labels are made side by side."""
    manifests = (run / "round-001" / step).rglob("manifest.json")
    return max(json.loads(path.read_text())["seconds"] for path in manifests)


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_labels_on_three_machines_of_which_three_are_lost_are_those_of_one(
    itkm: Any, whole: Path, tmp_path: Path, facts: Callable[[Path, str], dict[str, Any]]
) -> None:
    out = tmp_path / "run"
    # Two encoders, so that each of the two workers has one. Stage I and the labels after it: those that the whole
    # run made at the beginning of Stage III.
    overrides = itkm.run(out, "heterogeneous_rounds=0", "compute.num_extractors=2")[5:]
    script = Path(__file__).with_name("three_nodes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "n"), str(itkm.corpus), str(out), *overrides],
        env=itkm.environment | {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])

    assert list(said["lost"]) == ["extract", "label", "train"]
    for step in said["lost"]:  # shown by `pytest -s`: what a loss costs
        print(
            f"{step}: {seconds(out, step):.1f} s with a loss, {seconds(whole, step):.1f} s without"
        )
    assert facts(out, "round-001/extract")["images"] == facts(whole, "round-001/extract")["images"]
    # Six steps: two before the checkpoint, and the round went on from there on another machine.
    assert facts(whole, "round-001/train")["steps"] == 6
    assert facts(out, "round-001/train")["steps"] == 4
    assert len(set(said["caches"])) >= 2, "each machine that trained has a copy of its own"
    expected = [pq.read_table(path) for path in whole.glob("round-002/label/*/labels.parquet")]
    assert len(expected) == 4
    assert pq.read_table(out / "pseudo_labels.parquet") == pa.concat_tables(expected).sort_by(
        "sample_id"
    )
