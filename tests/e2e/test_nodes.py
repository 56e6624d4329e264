"""A run on machines that share nothing but an object store that fails now and then, and that are lost one by one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flaky_s3 import ACCESS_KEY, SECRET_KEY, FlakyS3, serving

from itkm_core.storage.place import Place

STEPS = ("extract", "label", "train")


def facts(run: Place, step: str) -> dict[str, Any]:
    found: dict[str, Any] = (run / step / "manifest.json").read_json()
    return {**found["facts"], "seconds": found["seconds"]}


def seconds(run: Place, step: str) -> float:
    """Of a step of round 1; labels are made side by side."""
    blocks = ("ucc-0", "ucc-1", "uvi-0", "uvi-1")
    names = [f"label/{block}" for block in blocks] if step == "label" else [step]
    return float(max(facts(run, f"round-001/{name}")["seconds"] for name in names))


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_labels_on_three_machines_of_which_three_are_lost_are_those_of_one(
    itkm: Any, whole: Path, tmp_path: Path, credentials: dict[str, str]
) -> None:
    flaky = FlakyS3(throttle=23, stalls="part-00000.parquet", stall=5, lag=1)
    with serving(flaky) as endpoint:
        options = f"?endpoint_override={endpoint}&scheme=http&region=us-east-1"
        corpus, out = (f"s3://bucket/{name}{options}" for name in ("c", "run"))
        # Two encoders, so that each of the two workers has one. Stage I and the labels after it: those that the
        # whole run made at the beginning of Stage III.
        overrides = itkm.run(tmp_path, "heterogeneous_rounds=0", "compute.num_extractors=2")[5:]
        people = str(itkm.corpus.parent / "people")
        before = [["ingest", "--as", "synthetic", people, "--out", corpus]]
        after = [
            ["run", "--corpus", corpus, "--out", out, *overrides],
            ["evaluate", "s3://bucket/run"],  # the endpoint from the environment
        ]
        script = str(Path(__file__).with_name("three_nodes.py"))
        words = [str(tmp_path / "n"), corpus, out, json.dumps(before), json.dumps(after)]
        done = subprocess.run(
            [sys.executable, script, *words, *overrides],
            env=itkm.environment
            | credentials
            | {"AWS_ENDPOINT_URL": f"http://{endpoint}", "AWS_EC2_METADATA_DISABLED": "true"}
            | {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed[-8000:]
        run, one = Place.at(out), Place.at(whole)
        shown = [
            f"{step}: {seconds(run, step):.1f} s with a loss, {seconds(one, step):.1f} s without"
            for step in STEPS
        ]
        found = {step: facts(run, f"round-001/{step}") for step in ("extract", "train")}
        labels = (run / "pseudo_labels.parquet").read_table()
        files = Place.at(f"s3://bucket{options}").files()
        stored = {name: Place.at(f"s3://{name}{options}").read_bytes() for name in files}
    print(*shown, sep="\n")  # `pytest -s`: what a loss costs

    said = json.loads(done.stdout.splitlines()[-1])
    assert tuple(said["lost"]) == STEPS
    assert found["extract"]["images"] == facts(one, "round-001/extract")["images"]
    # Six steps: two before the checkpoint, and the round went on from there on another machine.
    assert facts(one, "round-001/train")["steps"] == 6
    assert found["train"]["steps"] == 4
    assert len(set(said["caches"])) >= 2, "each machine that trained has a copy of its own"
    expected = [pq.read_table(path) for path in whole.glob("round-002/label/*/labels.parquet")]
    assert len(expected) == 4
    assert labels == pa.concat_tables(expected).sort_by("sample_id")

    # The same command again has nothing to do.
    assert printed.partition("$ itkm run")[0].count("reused") == 0
    again = printed.partition("$ itkm run")[2].partition("$ itkm evaluate")[0]
    manifests = [name for name in stored if name.startswith("bucket/run/")]
    manifests = [name for name in manifests if name.endswith("/manifest.json")]
    assert again.count("reused") == len(manifests)
    assert "retrieval, final" in printed
    assert flaky.counts["refused"] >= 10
    assert flaky.counts["stalled"] == 1
    assert flaky.counts["left out of a listing"] > 0
    # Nothing that was printed, logged or stored tells the credentials.
    assert said["logs with secrets"] == []
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in printed
        assert not [name for name, data in stored.items() if secret.encode() in data]
