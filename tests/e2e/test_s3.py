"""Small files in an object store that throttles and lists late; test_nodes.py has a run in one."""

from __future__ import annotations

import pytest
from flaky_s3 import FlakyS3, serving

from itkm_core.errors import StorageError
from pipelines.evaluate import newest_evaluation
from pipelines.label_cli import last_checkpoint
from pipelines.runs import RunFolder
from pipelines.storage import Place


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
