"""`itkm doctor` in an object store: nodes see each other's files, and a run still finds its folder empty."""

from __future__ import annotations

import pytest
from flaky_s3 import FlakyS3, serving

from itkm_core.storage.place import Place
from pipelines.doctor import storage as doctor_storage
from pipelines.doctor.ask import Answers, Node

NODES = [Node(identity * 8, f"10.0.0.{identity}", {}) for identity in "123"]


def ask_here(nodes, question, arguments, seconds) -> Answers:
    """Without Ray: an object store is the same from everywhere."""
    return Answers({node.id: question(*arguments(node)) for node in nodes}, {})


def test_nothing_is_left_that_a_run_would_stumble_over(
    monkeypatch: pytest.MonkeyPatch, credentials: dict[str, str]
) -> None:
    monkeypatch.setattr(doctor_storage, "ask", ask_here)
    with serving(FlakyS3(throttle=11)) as endpoint:
        options = f"?endpoint_override={endpoint}&scheme=http&region=us-east-1"
        out = f"s3://bucket/runs/mine{options}"
        line = doctor_storage.examine_storage(out, NODES, 10)
        assert line.verdict == "ok", line.seen
        assert not Place.at(out).names()
        (Place.at(out) / "config.yaml").write_bytes(b"a run")
        assert doctor_storage.examine_storage(out, NODES, 10).verdict == "ok"
        assert [path.rpartition("/")[2] for path in Place.at(out).files()] == ["config.yaml"]

        line = doctor_storage.examine_storage(f"s3://no-bucket/runs{options}", NODES, 10)
        assert line.verdict == "fail"
        assert line.seen.endswith("on 10.0.0.1, 10.0.0.2, 10.0.0.3")
        assert line.seen.count("NO_SUCH_BUCKET") == 1
