"""Corpus, run and labels in an object store that throttles, stalls and lists late (moto, on loopback)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flaky_s3 import ACCESS_KEY, SECRET_KEY, FlakyS3, serving

from itkm_core.errors import StorageError
from pipelines.evaluate import newest_evaluation
from pipelines.label_cli import last_checkpoint
from pipelines.runs import RunFolder
from pipelines.storage import Place


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return given


def test_small_files_in_a_store_that_lists_late(credentials: dict[str, str]) -> None:
    flaky = FlakyS3(throttle=11, lag=60)
    with serving(flaky) as endpoint:
        options = f"?endpoint_override={endpoint}&scheme=http&region=us-east-1"
        run = Place.at(f"s3://bucket/run/{options}")
        assert str(run) == f"s3://bucket/run{options}"
        assert not run.exists()
        for number in (1, 2):
            train = run / f"round-{number:03d}" / "train"
            (train / "manifest.json").write_json({"number": number})
        assert run.files() == []  # none of them is listed
        assert (train / "manifest.json").read_json() == {"number": 2}
        assert last_checkpoint(run) == train / "checkpoint"
        with pytest.raises(Exception, match="no evaluated round"):
            newest_evaluation(RunFolder(run))
        asked = flaky.counts["requests"]
        for _ in range(20):
            (run / "one").write_bytes(b"1")
        assert flaky.counts["requests"] - asked <= 20 + 2, "a small file is one request"
        assert flaky.counts["refused"] >= 2
        (run / "one").remove()
        assert not (run / "one").exists()
        with pytest.raises(StorageError, match=r"cannot read s3://bucket/run/one\?endpoint"):
            (run / "one").read_bytes()
        elsewhere = Place.at(f"s3://no-such-bucket/x{options}")
        with pytest.raises(StorageError, match="check that the place exists"):
            elsewhere.write_bytes(b"1")


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_a_run_in_a_store_that_fails_now_and_then(
    itkm: Any, credentials: dict[str, str], tmp_path: Path
) -> None:
    flaky = FlakyS3(throttle=23, stalls="part-00000.parquet", stall=5, lag=1)
    with serving(flaky) as endpoint:
        options = f"?endpoint_override={endpoint}&scheme=http&region=us-east-1"
        corpus, run, labels = (f"s3://bucket/{name}{options}" for name in ("c", "run", "labels"))
        overrides = itkm.run(Path("x"))[5:]
        small = [*overrides, "heterogeneous_rounds=0", "only=[uvi]", "compute.num_extractors=1"]
        again = ["run", "--corpus", corpus, "--out", run, *small]
        plain = "s3://bucket/"
        people = str(itkm.corpus.parent / "people")
        commands = [
            ["ingest", "--as", "synthetic", people, "--out", corpus],
            again,
            again,
            # The endpoint from the environment.
            f"label --corpus {plain}c --checkpoint {plain}run --out {plain}labels".split()
            + small[-2:],
            ["evaluate", run],
        ]
        script = str(Path(__file__).with_name("one_ray.py"))
        training = f"s3://bucket/run/round-001/train{options}"
        done = subprocess.run(
            [sys.executable, script, json.dumps(commands), training, str(tmp_path / "mark")],
            env=itkm.environment
            | credentials
            | {"AWS_ENDPOINT_URL": f"http://{endpoint}", "AWS_EC2_METADATA_DISABLED": "true"}
            | {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "ITKM_CACHE": str(tmp_path / "cache")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=800,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-8000:]
        steps = {
            name: (Place.at(run) / name / "manifest.json").read_json()["facts"]
            for name in ("round-001/extract", "round-001/train", "final/extract")
        }
        tables = [
            (Place.at(place) / "pseudo_labels.parquet").read_table() for place in (run, labels)
        ]
        files = Place.at(f"s3://bucket{options}")
        stored = {name: Place.at(f"s3://{name}{options}").read_bytes() for name in files.files()}
    # Two steps came before the checkpoint; the worker that went on from there had it from the store.
    assert steps["round-001/train"]["steps"] == 4
    assert (tmp_path / "mark").exists()
    parts = said.split("$ itkm run")
    manifests = [name for name in stored if name.startswith("bucket/run/") and "manifest" in name]
    assert parts[1].count("reused") == 0
    assert parts[2].partition("$ itkm label")[0].count("reused") == len(
        [name for name in manifests if name.endswith("/manifest.json")]
    )
    for column in ("sample_id", "label", "is_core"):
        assert tables[0][column] == tables[1][column], column
    assert "retrieval, final" in said
    assert flaky.counts["refused"] >= 10
    assert flaky.counts["stalled"] == 1
    assert flaky.counts["left out of a listing"] > 0
    # Nothing that was printed, logged or stored tells the credentials.
    logs = json.loads(done.stdout.splitlines()[-1])
    assert logs == {"secrets": 2, "logs": []}
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in said
        assert not [name for name, data in stored.items() if secret.encode() in data]
