from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from itkm_core.errors import ConfigError, StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import RunFolder, digest_of, open_run, read_run


def finish(run, name="round-001/extract", inputs=None, digest="d"):
    return run.finish(
        name, inputs=inputs or {"a": "1"}, digest=digest, facts={"n": 3}, started=time.time()
    )


def test_a_finished_step_is_found_again_only_with_the_same_inputs(tmp_path: Path) -> None:
    run = open_run(Place.at(tmp_path / "run"), {"seed": 0}, {})
    assert run.finished("round-001/extract", {"a": "1"}) is None
    finish(run)
    found = run.finished("round-001/extract", {"a": "1"})
    assert found is not None
    assert (found.digest, found.facts) == ("d", {"n": 3})
    assert run.finished("round-001/extract", {"a": "2"}) is None
    assert run.finished("round-001/extract", {"a": "1", "b": "1"}) is None


def test_the_same_run_goes_on_and_another_is_refused_with_the_difference(tmp_path: Path) -> None:
    place = Place.at(tmp_path / "run")
    open_run(place, {"labels": {"eps": 0.5, "k1": 10}, "size": (64, 32)}, {})
    open_run(place, {"labels": {"eps": 0.5, "k1": 10}, "size": (64, 32)}, {"workers": 2})
    with pytest.raises(ConfigError, match=r"labels\.eps: 0\.5 there, 0\.6 now") as caught:
        open_run(place, {"labels": {"eps": 0.6, "k1": 10}, "size": (64, 32)}, {})
    assert "k1" not in str(caught.value)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="not empty"):
        open_run(Place.at(tmp_path), {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_reading_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no run"):
        read_run(Place.at(tmp_path))


def test_metrics_neither_lose_nor_repeat_a_line(tmp_path: Path) -> None:
    run = open_run(Place.at(tmp_path / "run"), {}, {})
    finish(run, "round-001/extract")
    names = ["round-001/extract", "round-001/train"]
    run.write_metrics(names)
    finish(run, "round-001/train")
    run.write_metrics(names)
    run.write_metrics(names)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == names


def test_a_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (Place.at(tmp_path) / "deep" / "file.bin").write_bytes(b"x" * 1000)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file.bin"]


def test_digests_do_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_a_step_goes_on_only_from_what_its_own_inputs_have_left(tmp_path: Path) -> None:
    run = RunFolder(Place.at(tmp_path))
    left = run.step("round-001/train") / "ray_train" / "checkpoint"
    left.write_bytes(b"of a version that did not say from what")
    run.begin("round-001/train", {"labels": "a"})
    assert not left.exists()
    left.write_bytes(b"of these labels")
    run.begin("round-001/train", {"labels": "a"})
    assert left.exists()
    run.begin("round-001/train", {"labels": "b"})
    assert not left.exists()


def test_a_step_removes_only_what_a_step_writes(tmp_path: Path) -> None:
    run = RunFolder(Place.at(tmp_path))
    run.begin("round-001/label/uvi-0", {"features": "a"})
    step = run.step("round-001/label/uvi-0")
    for name in ("labels.parquet", "manifest.json", "ray_train/state", "text-uvi-0.npy"):
        (step / name).write_bytes(b"of the step")
    for name in ("notes.txt", "scan/labels.parquet", "my.json"):
        (step / name).write_bytes(b"a user's")
    run.begin("round-001/label/uvi-0", {"features": "b"})
    assert step.names() == ["inputs.json", "my.json", "notes.txt", "scan"]


@pytest.mark.parametrize(
    "text", ["seed: 0", "identity: 3\nconfig: {}", "- a", "{", "", "\x00", "identity: {}"]
)
def test_a_config_of_someone_elses_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    """Such as the output of `itkm config`, kept under the obvious name."""
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(StorageError, match="is not one that `itkm run` wrote"):
        open_run(Place.at(tmp_path), {"seed": 0}, {})
    with pytest.raises(StorageError, match="no run at"):
        read_run(Place.at(tmp_path))
    assert (tmp_path / "config.yaml").read_text() == text


def test_a_run_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file; expected a folder"):
        open_run(Place.at(tmp_path / "file"), {}, {})
