"""Adam by rows against one torch optimizer for every row."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

from itkm_core.errors import TrainingError
from itkm_core.learning.row_adam import RowAdam

VISITS = [[0, 3], [3], [1, 0, 3], [3], [4, 1]]
RATES = [0.1, 0.1, 0.05, 0.02, 0.3]


def gradient(step: int, row: int) -> torch.Tensor:
    return torch.randn(2, 3, generator=torch.Generator().manual_seed(10 * step + row))


def walk(table: torch.Tensor, adam: RowAdam, first: int = 0, last: int = len(VISITS)) -> None:
    for step in range(first, last):
        rows = VISITS[step]
        gradients = torch.stack([gradient(step, row) for row in rows])
        adam.step(table, torch.tensor(rows), gradients, RATES[step])


def start() -> torch.Tensor:
    return torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(99))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_every_row_as_if_it_had_an_adam_to_itself(decay: float) -> None:
    table = start()
    walk(table, RowAdam(table, weight_decay=decay))
    for row, value in enumerate(start()):
        parameter = torch.nn.Parameter(value.clone())
        adam = torch.optim.AdamW([parameter], weight_decay=decay)
        for step, rows in enumerate(VISITS):
            if row in rows:
                adam.param_groups[0]["lr"] = RATES[step]
                parameter.grad = gradient(step, row)
                adam.step()
        torch.testing.assert_close(table[row], parameter.detach(), rtol=1e-5, atol=1e-6)
    assert torch.equal(table[2], start()[2])


def test_a_resumed_walk_is_the_unbroken_one() -> None:
    unbroken = start()
    walk(unbroken, RowAdam(unbroken))
    table = start()
    adam = RowAdam(table)
    walk(table, adam, 0, 3)
    file = io.BytesIO()
    torch.save({"table": table, "adam": adam.state_dict()}, file)
    walk(table, adam, 3, 4)  # goes on after the checkpoint, and is lost
    file.seek(0)
    saved: dict[str, Any] = torch.load(file, weights_only=True)
    again = RowAdam(saved["table"])
    again.load_state_dict(saved["adam"])
    walk(saved["table"], again, 3)
    assert torch.equal(saved["table"], unbroken)


def test_a_saved_state_is_not_the_running_one() -> None:
    table = start()
    adam = RowAdam(table)
    state = adam.state_dict()
    walk(table, adam)
    assert not state["count"].any()


def test_moments_of_another_table() -> None:
    adam = RowAdam(start())
    before = adam.state_dict()
    with pytest.raises(TrainingError, match="other labels"):
        adam.load_state_dict(RowAdam(torch.zeros(4, 2, 3)).state_dict())
    assert all(torch.equal(value, before[name]) for name, value in adam.state_dict().items())
