"""What every stage must do: go on from a saved state as if it had not stopped."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from itkm_core.corpus.sampling import BatchPlan


def step_many(
    problem: Any, inputs: Callable[[BatchPlan], Tensor], stage: Any, first: int, last: int
) -> list[float]:
    """The losses of these steps."""
    losses = []
    for step in range(first, last):
        plan = problem.make_plan(step, stage.config)
        losses.append(stage.step(inputs(plan), plan).loss)
    return losses


def resume_and_compare(
    problem: Any,
    inputs: Callable[[BatchPlan], Tensor],
    trained: Callable[[Any], nn.Module | None] = lambda stage: None,
) -> tuple[Any, Any]:
    """The stage that stopped after four of eight steps, and the one that did not; their losses are the same.

    inputs: what a step takes beside its plan. trained: the module that the stage's own state leaves out.
    """
    unbroken = problem.make_stage(problem.make_config())
    expected = step_many(problem, inputs, unbroken, 0, 8)
    stage = problem.make_stage(problem.make_config())
    losses = step_many(problem, inputs, stage, 0, 4)
    file = io.BytesIO()
    torch.save(stage.state_dict(), file)
    module = trained(stage)
    weights = None if module is None else copy.deepcopy(module.state_dict())
    step_many(problem, inputs, stage, 4, 6)  # goes on after the checkpoint, and is lost
    again = problem.make_stage(problem.make_config())
    if (module := trained(again)) is not None:
        module.load_state_dict(weights)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    losses += step_many(problem, inputs, again, 4, 8)
    assert losses == expected
    return again, unbroken
