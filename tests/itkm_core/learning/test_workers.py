"""Several workers against one: the same losses and gradients, and bit-identical memories."""

from __future__ import annotations

from typing import Any

import pytest
import stage_problem as problem
import stage_worker as worker
import torch

WORLD = 2
WHOLE_RUNS = ["plain", "accumulate", "stage three", "stage three, accumulate"]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers ended with, in every mode."""
    return worker.run_workers(WORLD, tmp_path_factory.mktemp("workers"))


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Any]]:
    """What one ends with."""
    return {mode: worker.MODES[mode]() for mode in ("plain", "stage three")}


def test_the_problem_has_what_makes_it_hard() -> None:
    plan = problem.make_plan(0, problem.make_config())
    sizes = [len(plan.slice(rank, WORLD)) for rank in range(WORLD)]
    assert sizes == [11, 10]
    part = plan.slice(0, WORLD).rows(0, 4)  # the first of three parts
    assert set(part.groups.tolist()) == {0}


@pytest.mark.parametrize("mode", WHOLE_RUNS)
def test_workers_hold_bit_identical_memories_and_weights(
    ranks: list[dict[str, Any]], mode: str
) -> None:
    first, second = (rank[mode] for rank in ranks)
    assert first["global_step"] == problem.NUM_STEPS
    assert first["losses"] == second["losses"]
    for a, b in zip(first["memories"], second["memories"], strict=True):
        assert torch.equal(a, b)
    assert first["weights"].keys() == second["weights"].keys()
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name


@pytest.mark.parametrize("mode", WHOLE_RUNS)
def test_two_workers_learn_what_one_learns(
    ranks: list[dict[str, Any]], alone: dict[str, dict[str, Any]], mode: str
) -> None:
    together, single = ranks[0][mode], alone[mode.removesuffix("accumulate").strip(" ,") or "plain"]
    torch.testing.assert_close(
        torch.tensor(together["losses"]), torch.tensor(single["losses"]), rtol=1e-3, atol=1e-4
    )
    torch.testing.assert_close(
        torch.tensor(together["norms"]), torch.tensor(single["norms"]), rtol=1e-2, atol=0
    )
    assert together["norms"][0] == pytest.approx(single["norms"][0], rel=1e-5)
    torch.testing.assert_close(together["memories"], single["memories"], rtol=0, atol=1e-3)


def test_stage_three_has_memories_and_banks_and_all_its_terms(ranks: list[dict[str, Any]]) -> None:
    record, blocks = ranks[0]["stage three"], len(problem.BLOCKS)
    assert len(record["memories"]) == 2 * blocks
    assert len(record["losses"][0]) == 1 + blocks + 4
    assert all(term > 0 for term in record["losses"][0])


@pytest.mark.parametrize(("mode", "below"), [("plain", 0.8), ("stage three", 0.9)])
def test_learning_happens(alone: dict[str, dict[str, Any]], mode: str, below: float) -> None:
    losses = [step[0] for step in alone[mode]["losses"]]
    assert sum(losses[-5:]) < below * sum(losses[:5])


@pytest.mark.parametrize(("mode", "whole"), [("nan", "plain"), ("stage three, nan", "stage three")])
def test_a_nan_on_one_worker_stops_both_before_anything_changes(
    ranks: list[dict[str, Any]], mode: str, whole: str
) -> None:
    for rank in ranks:
        record = rank[mode]
        assert f"step {worker.NAN_STEP} of round 1" in record["error"]
        assert record["global_step"] == worker.NAN_STEP
        assert record["losses"] == rank[whole]["losses"][: worker.NAN_STEP]
        assert all(torch.isfinite(memory).all() for memory in record["memories"])
        assert all(torch.isfinite(value).all() for value in record["weights"].values())


def test_gathering_uneven_rows(ranks: list[dict[str, Any]]) -> None:
    expected = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    for rank in ranks:
        record = rank["gather"]
        assert torch.equal(record["told"], expected)
        assert record["grad"] is False
        assert record["some"].tolist() == [1, 1]
        assert "was told [1, 1, 1]" in record["error"]


def test_gathering_alone_is_the_rows_themselves() -> None:
    rows = torch.ones(3, 2, requires_grad=True)
    gathered = worker.gather_rows(rows, [3])
    assert torch.equal(gathered, rows)
    assert not gathered.requires_grad
