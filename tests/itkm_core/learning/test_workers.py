"""Several workers against one: the same losses and gradients, and bit-identical memories."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("stage_one_worker.py")
WORLD = 2


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("stage_one_worker", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_script()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers ended with, in every mode."""
    folder = tmp_path_factory.mktemp("workers")
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                str(SCRIPT),
                str(rank),
                str(WORLD),
                str(folder / "rendezvous"),
                str(folder),
                ",".join(worker.MODES),
            ]
        )
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
    sizes = [len(plan.slice(rank, WORLD)) for rank in range(WORLD)]
    assert sizes == [11, 10]
    part = plan.slice(0, WORLD).rows(0, 4)  # the first of three parts
    assert set(part.groups.tolist()) == {0}


@pytest.mark.parametrize("mode", ["plain", "accumulate"])
def test_workers_hold_bit_identical_memories_and_weights(
    ranks: list[dict[str, Any]], mode: str
) -> None:
    first, second = (rank[mode] for rank in ranks)
    assert first["global_step"] == worker.NUM_STEPS
    assert first["losses"] == second["losses"]
    for a, b in zip(first["memories"], second["memories"], strict=True):
        assert torch.equal(a, b)
    assert first["weights"].keys() == second["weights"].keys()
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name


@pytest.mark.parametrize("mode", ["plain", "accumulate"])
def test_two_workers_learn_what_one_learns(
    ranks: list[dict[str, Any]], alone: dict[str, Any], mode: str
) -> None:
    together = ranks[0][mode]
    close = {"rtol": 1e-3, "atol": 1e-4}
    torch.testing.assert_close(
        torch.tensor(together["losses"]), torch.tensor(alone["losses"]), **close
    )
    torch.testing.assert_close(
        torch.tensor(together["norms"]), torch.tensor(alone["norms"]), rtol=1e-2, atol=0
    )
    first_norms = [together["norms"][0], alone["norms"][0]]
    assert first_norms[0] == pytest.approx(first_norms[1], rel=1e-5)
    torch.testing.assert_close(together["memories"], alone["memories"], rtol=0, atol=1e-3)


def test_learning_happens(alone: dict[str, Any]) -> None:
    losses = [step[0] for step in alone["losses"]]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_a_nan_on_one_worker_stops_both_before_anything_changes(
    ranks: list[dict[str, Any]],
) -> None:
    for rank in ranks:
        record = rank["nan"]
        assert f"step {worker.NAN_STEP} of round 1" in record["error"]
        assert record["global_step"] == worker.NAN_STEP
        assert record["losses"] == rank["plain"]["losses"][: worker.NAN_STEP]
        assert all(torch.isfinite(memory).all() for memory in record["memories"])
        assert all(torch.isfinite(value).all() for value in record["weights"].values())


def test_gathering_uneven_rows(ranks: list[dict[str, Any]]) -> None:
    expected = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    for rank in ranks:
        record = rank["gather"]
        assert torch.equal(record["asked"], expected)
        assert torch.equal(record["told"], expected)
        assert record["grad"] is False
        assert record["some"].tolist() == [1, 1]
        assert "was told [1, 1, 1]" in record["error"]


def test_gathering_alone_is_the_rows_themselves() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    gathered = worker.gather_rows(rows)
    assert torch.equal(gathered, rows)
    assert not gathered.requires_grad
