"""What a user can change is one line, wherever on Ray it was found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray

import pipelines.cli as cli
from itkm_core.errors import CorpusError, ItkmError
from pipelines.doctor.ask import ask, cluster_nodes
from pipelines.faults import carried, unwrapped, users_error
from pipelines.ingest import mapped as passes
from pipelines.steps.label_spans import RayTasks
from pipelines.steps.tasks import remote

pytestmark = pytest.mark.ray
SAID = "the picture a[b]c.png is not one; expected a PNG, remove it"


def fail(*_: Any, **__: Any) -> Any:
    raise CorpusError(SAID) from OSError("disk")


@carried()
def mapped(batch: pa.Table) -> pa.Table:
    return fail()


def generated(batch: pa.Table) -> Iterator[pa.Table]:
    with carried():
        yield batch
        fail()


def spanned(*_: Any) -> Any:
    return RayTasks("label", rows=1).spans(fail, 2, 1)


def by_data(step: Callable[..., Any]) -> Any:
    return list(passes.mapped([pa.table({"row": [1]})], step))


def bare(*_: Any) -> Any:
    return ray.get(ray.remote(fail).remote())


WAYS: dict[str, Callable[[], Any]] = {
    "a task": lambda: remote(fail, "label"),
    "a task of a task": lambda: remote(spanned, "label"),
    "tasks for spans": spanned,
    "Ray Data": lambda: by_data(mapped),
    "tasks of an ingest": lambda: list(passes.by_tasks("cut", [pa.table({"row": [1]})], mapped)),
    "a generator in Ray Data": lambda: by_data(generated),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_comes_back_as_itself(way: str, local_ray: None) -> None:
    with pytest.raises(CorpusError) as caught:
        WAYS[way]()
    assert type(caught.value) is CorpusError
    assert str(caught.value) == SAID


@pytest.mark.parametrize("way", [*WAYS, "a bare task"])
def test_the_command_prints_one_line(
    way: str, local_ray: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`ray.get` itself raises an error that is an ItkmError too, and whose words are a traceback."""

    def ended(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(cli.os, "_exit", ended)
    monkeypatch.setattr(cli, "load_config", lambda *_: WAYS.get(way, bare)())
    with pytest.raises(SystemExit, match="2"):
        cli.main(["config"])
    assert capfd.readouterr().err == f"error {SAID}\n"


def test_a_fault_keeps_its_traceback(local_ray: None) -> None:
    with pytest.raises(ray.exceptions.RayTaskError, match="ZeroDivisionError"), unwrapped():
        ray.get(ray.remote(lambda: 1 / 0).remote())


def test_the_wrapper_is_never_taken_for_the_error(local_ray: None) -> None:
    with pytest.raises(ItkmError) as caught:
        bare()
    assert "Traceback" in str(caught.value) or "fail" in str(caught.value)
    found = users_error(caught.value)
    assert type(found) is CorpusError
    assert str(found) == SAID


def test_a_node_that_cannot_answer_says_why_in_one_line(local_ray: None, tmp_path: Path) -> None:
    answers = ask(cluster_nodes(), fail, lambda _: (), 60)
    assert list(answers.silent.values()) == [SAID]
