"""The board: whose its line is, that it goes with the step, and what the gauges are set to."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray.train

from itkm_core.errors import DivergedError, TrainingError
from itkm_core.storage.place import Place
from pipelines.steps.tasks import remote
from pipelines.telemetry import board as boards
from pipelines.telemetry.board import Board
from pipelines.telemetry.display import describe
from pipelines.telemetry.gauges import GAUGES
from pipelines.telemetry.handle import NAME, Telemetry
from pipelines.telemetry.meter import peak_memory
from pipelines.training.tasks import PromptsTask
from pipelines.training.worker import FAULT, ends_on_fault


class Values:
    """A gauge that keeps what it is set to, by its tags; these must be the listed ones."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.values: dict[tuple[str, ...], float] = {}
        self.tags = tag_keys

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert tuple(sorted(tags)) == tuple(sorted(self.tags))
        self.values[tuple(tags[tag] for tag in self.tags)] = value


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(boards, "Gauge", Values)
    return Board()


def values(board: Board, name: str) -> dict[tuple[str, ...], float]:
    gauge: Any = board.gauges[name]
    found: dict[tuple[str, ...], float] = gauge.values
    return found


def test_a_line_goes_when_the_last_step_of_its_name_has_ended(board: Board) -> None:
    board.enter("round-001 label")
    board.enter("round-001 label")
    board.leave("round-001 label")
    assert board.step == "round-001 label"
    board.leave("round-001 label")
    assert describe(*board.snapshot()) == ""


def test_a_step_that_waits_does_not_take_the_line_and_gets_it_afterwards(board: Board) -> None:
    board.enter("round-002 extract")
    board.begin("round-002 extract", 100)
    board.advance(40, "", {})
    board.enter("round-002 frozen")
    assert "round-002 extract  40/100" in describe(*board.snapshot())
    board.leave("round-002 extract")
    assert board.step == "round-002 frozen"
    board.leave("round-002 frozen")
    assert board.step == ""


def test_a_note_is_for_the_line_of_its_kind(board: Board) -> None:
    board.enter("round-001 label")
    board.tell("label", "label[uvi/1] exact lists 3/8")
    assert describe(*board.snapshot()) == "  round-001 label  label[uvi/1] exact lists 3/8"
    board.begin("round-001 train", 10)
    board.tell("label", "label[uvi/1] exact lists 4/8")
    assert "label" not in describe(*board.snapshot())


def test_rates_are_of_the_kind_that_runs_and_0_when_it_has_ended(board: Board) -> None:
    line = "round-002 extract"
    board.enter(line)
    board.begin(line, 100)
    for _ in range(3):
        board.advance(20, "", {"host": 5})
        time.sleep(0.01)
    ((step, rate),) = values(board, "itkm_images_per_second").items()
    assert step == ("extract",)
    assert 0 < rate < 40 / 0.02
    board.leave(line)
    assert values(board, "itkm_images_per_second") == {("extract",): 0}
    board.advance(20, "", {"host": 9})  # an encoder's last word, come late
    assert values(board, "itkm_images_per_second") == {("extract",): 0}
    assert values(board, "itkm_memory_bytes") == {("extract", "host"): 5}


def test_steps_are_counted_by_kind_whatever_their_round(board: Board) -> None:
    board.enter("round-001 label")
    board.enter("round-001 label")
    board.enter("round-002 label")
    assert values(board, "itkm_steps_running") == {("label",): 3}
    board.leave("round-001 label")
    assert values(board, "itkm_steps_running") == {("label",): 2}


def test_of_memory_the_most_of_all_processes_is_kept(board: Board) -> None:
    for host in (5, 9, 7):
        board.memory("label[uvi/0]", {"host": host})
    board.memory("label[uvi/0]", {"asked": 6})
    found = values(board, "itkm_memory_bytes")
    assert found == {("label[uvi/0]", "host"): 9, ("label[uvi/0]", "asked"): 6}


def test_whatever_happens_is_progress(board: Board) -> None:
    for happens in (
        lambda: board.enter("round-001 train"),
        lambda: board.begin("round-001 train", 4),
        lambda: board.advance(2, "", {"host": 1}),
        lambda: board.tell("train", "on"),
        lambda: board.set("itkm_round", 1),
        lambda: board.leave("round-001 train"),
    ):
        board.gauges["itkm_last_progress_timestamp_seconds"].set(0, tags={})
        happens()
        (moment,) = values(board, "itkm_last_progress_timestamp_seconds").values()
        assert moment == pytest.approx(time.time(), abs=60)


def test_gauges_are_set_over_and_over_to_what_they_are(board: Board) -> None:
    board.set("itkm_clusters", 5, scenario="uvi", group="0")
    board.set("itkm_clusters", 7, scenario="uvi", group="0")
    board.set("itkm_clusters", 3, scenario="uvi", group="1")
    before = {name: dict(values(board, name)) for name in GAUGES}
    for name in GAUGES:
        values(board, name).clear()
    board.refresh()
    assert {name: values(board, name) for name in GAUGES} == before
    assert before["itkm_clusters"] == {("uvi", "0"): 7, ("uvi", "1"): 3}
    assert before["itkm_last_progress_timestamp_seconds"]


def test_gauges_have_a_name_and_words_with_their_unit() -> None:
    for name, (words, tags) in GAUGES.items():
        assert name.startswith("itkm_")
        assert words[0].isupper() or words[0].isdigit()
        assert len(set(tags)) == len(tags)
    assert "Bytes" in GAUGES["itkm_memory_bytes"][0]
    assert "Seconds" in GAUGES["itkm_step_seconds"][0]


def test_peak_memory_is_in_bytes() -> None:
    kept = bytearray(200 * 2**20)
    assert len(kept) < peak_memory()["host"] < 2**37


class Told(Telemetry):
    """Keeps what it is told, in place of an actor."""

    def __init__(self) -> None:
        object.__setattr__(self, "actor", None)
        object.__setattr__(self, "gauges", [])

    def set(self, name: str, value: float, **tags: str) -> None:
        self.gauges.append((name, value, tags))  # type: ignore[attr-defined]


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(("error", "last"), [(DivergedError, 1), (TrainingError, 0), (None, 0)])
def test_a_loss_that_is_not_finite_is_told_by_the_first_worker(
    error: type[Exception] | None,
    last: int,
    rank: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import threading

    context = SimpleNamespace(get_world_rank=lambda: rank)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(threading.current_thread(), "name", "main")
    told = Told()
    names = []

    def loop(loop_config: dict[str, Any]) -> None:
        names.append(threading.current_thread().name)
        if error is not None:
            raise error("it is nan")

    config: Any = None
    place = Place.at(tmp_path)
    task = PromptsTask(
        corpus_root="",
        config=config,
        scenarios=(),
        number=4,
        labels=(),
        out=place,
        telemetry=told,
        features=place,
    )
    ends_on_fault(loop)({"task": task})
    assert names == [f"prompts[stage-2, rank {rank}]"]
    assert str(task) == task.run_name == "round-004-prompts-stage-2"
    values = [value for _, value, _ in told.gauges]  # type: ignore[attr-defined]
    assert values == ([] if rank else [0, 1] if last else [0])
    assert (place / FAULT).exists() == (rank == 0 and error is not None)


def say(words: str) -> tuple[str, str]:
    return ray.get_runtime_context().get_task_name(), words


def test_a_steps_task_has_its_name_and_tells_the_board_its_memory(local_ray: None) -> None:
    telemetry = Telemetry.start()
    second = Telemetry.start()  # of a run beside it: no quarrel about the name
    assert telemetry.actor is not None
    assert second.actor is not None
    assert remote(say, "label[uvi/1]", "done", telemetry=telemetry) == ("label[uvi/1]", "done")
    assert remote(say, "label[uvi/1]", "done") == ("label[uvi/1]", "done")
    deadline = time.monotonic() + 60
    while not (peaks := ray.get(telemetry.actor.__ray_call__.remote(lambda board: board.peaks))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert set(peaks) == {("label[uvi/1]", "host")}
    assert peaks["label[uvi/1]", "host"] > 20 * 2**20
    names = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    assert names.count(NAME) >= 2
