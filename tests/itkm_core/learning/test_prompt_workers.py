"""Several workers of Stage II against one: the same losses, and bit-identical prompts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import prompt_worker as worker
import pytest
import torch

WORLD = 2


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers ended with, in every mode."""
    folder = tmp_path_factory.mktemp("workers")
    ends = [str(folder / "rendezvous"), str(folder), ",".join(worker.MODES)]
    processes = [
        subprocess.Popen([sys.executable, worker.__file__, str(rank), str(WORLD), *ends])
        for rank in range(WORLD)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0] * WORLD
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return worker.run(worker.make_config())


def test_the_problem_has_what_makes_it_hard() -> None:
    plan = worker.make_plan(0, worker.make_config())
    assert [len(plan.slice(rank, WORLD)) for rank in range(WORLD)] == [11, 10]
    assert len({(b, c) for b, c in zip(plan.block, plan.labels, strict=True)}) == 7


@pytest.mark.parametrize("mode", ["plain", "few"])
def test_workers_hold_bit_identical_prompts(ranks: list[dict[str, Any]], mode: str) -> None:
    first, second = (rank[mode] for rank in ranks)
    assert first["error"] == ""
    assert first["losses"] == second["losses"]
    assert torch.equal(first["state"]["tokens"], second["state"]["tokens"])
    for name, value in first["state"]["optimizer"].items():
        assert torch.equal(value, second["state"]["optimizer"][name]), name
    for a, b in zip(first["texts"], second["texts"], strict=True):
        assert torch.equal(a, b)


def test_two_workers_learn_what_one_learns(
    ranks: list[dict[str, Any]], alone: dict[str, Any]
) -> None:
    together = ranks[0]["plain"]
    torch.testing.assert_close(
        torch.tensor(together["losses"]), torch.tensor(alone["losses"]), rtol=1e-3, atol=1e-4
    )
    assert together["norms"][0] == pytest.approx(alone["norms"][0], rel=1e-5)
    assert torch.equal(
        together["state"]["optimizer"]["count"], alone["state"]["optimizer"]["count"]
    )
    torch.testing.assert_close(together["texts"], alone["texts"], rtol=0, atol=1e-3)


def test_a_nan_on_one_worker_stops_both_before_anything_changes(
    ranks: list[dict[str, Any]],
) -> None:
    for rank in ranks:
        record = rank["nan"]
        assert f"loss of the prompts is nan at step {worker.NAN_STEP}" in record["error"]
        assert record["state"]["global_step"] == worker.NAN_STEP
        assert record["losses"] == rank["plain"]["losses"][: worker.NAN_STEP]
        assert torch.isfinite(record["state"]["tokens"]).all()
