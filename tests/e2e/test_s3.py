"""Small files in an object store that throttles and lists late; test_nodes.py has a run in one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flaky_s3 import FlakyS3, serving
from ray.train import Checkpoint

from itkm_core.errors import StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import RunFolder
from pipelines.label.command import last_checkpoint
from pipelines.steps.evaluate import newest_evaluation
from pipelines.training.checkpoints import opened


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


def test_a_refusal_longer_than_what_was_asked_for_ends_nothing(credentials: dict[str, str]) -> None:
    flaky = FlakyS3(throttle=100)
    with serving(flaky) as endpoint:
        place = Place.at(
            f"s3://bucket/one?endpoint_override={endpoint}&scheme=http&region=us-east-1"
        )
        place.write_bytes(b"1")
        filesystem, path = place.resolve()

        def refusing(read: Callable[[], bytes]) -> bytes:
            flaky.counts["requests"] = 98  # a HEAD goes before the GET, which is the hundredth
            return read()

        def bare() -> bytes:
            with filesystem.open_input_stream(path) as stream:
                return bytes(stream.read())

        with pytest.raises(OSError, match="flush response stream"):
            refusing(bare)
        assert refusing(place.read_bytes) == b"1"
        assert flaky.counts["refused"] == 2


def test_whichever_read_of_a_checkpoint_is_refused(credentials: dict[str, str]) -> None:
    flaky = FlakyS3(throttle=100)
    with serving(flaky) as endpoint:
        place = Place.at(f"s3://bucket/c?endpoint_override={endpoint}&scheme=http&region=us-east-1")
        (place / "state.json").write_bytes(b"1")
        filesystem, path = place.resolve()
        for requests_before in range(12):
            flaky.counts["requests"] = 99 - requests_before
            with opened(Checkpoint(path, filesystem)) as folder:
                assert (folder / "state.json").read_bytes() == b"1"
        assert flaky.counts["refused"] >= 5
