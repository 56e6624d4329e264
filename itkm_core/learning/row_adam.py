"""Adam for a table of which each step touches a few rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from itkm_core.errors import TrainingError


class RowAdam:
    """AdamW with a separate step count for every row (Kingma & Ba, ICLR 2015; counts [ours]).

    A step costs as much as the rows it touches, however many there are. A row that is not in the
    batch keeps its value and its moments: plain Adam would keep moving it by its old momentum.
    `torch.optim.SparseAdam` corrects the bias of fresh moments by the steps of the whole table, so
    a row first seen at step 1,000 would jump by three times the rate; here every row behaves as if
    it had its own Adam.

    Args:
        table: float32 [K, ...], which `step` changes.
        weight_decay: decoupled, of the touched rows.
    """

    def __init__(
        self,
        table: Tensor,
        *,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.weight_decay = weight_decay
        self.betas = betas
        self.eps = eps
        self.mean = torch.zeros_like(table)
        self.square = torch.zeros_like(table)
        self.count = torch.zeros(len(table), dtype=torch.int64, device=table.device)

    @torch.no_grad()
    def step(self, table: Tensor, rows: Tensor, gradients: Tensor, lr: float) -> None:
        """Change `table[rows]` in place.

        Args:
            rows: int64 [c], distinct.
            gradients: float32 [c, ...], of those rows.
            lr: learning rate.
        """
        self.count[rows] += 1
        steps = self.count[rows].to(torch.float64).view(-1, *[1] * (table.ndim - 1))
        first, second = self.betas
        mean = first * self.mean[rows] + (1 - first) * gradients
        square = second * self.square[rows] + (1 - second) * gradients.square()
        self.mean[rows], self.square[rows] = mean, square
        rate = (lr / (1 - first**steps)).to(table.dtype)
        scale = (1 - second**steps).sqrt().to(table.dtype)
        kept = table[rows] * (1 - lr * self.weight_decay)
        table[rows] = kept - rate * mean / (square.sqrt() / scale + self.eps)

    def state_dict(self) -> dict[str, Tensor]:
        """The moments and counts, on the CPU."""
        names = ("mean", "square", "count")
        return {name: getattr(self, name).cpu().clone() for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore saved moments.

        Raises:
            TrainingError: of a table of another shape.
        """
        for name in ("mean", "square", "count"):
            own: Tensor = getattr(self, name)
            if state[name].shape != own.shape:
                raise TrainingError(
                    f"The saved optimizer's {name} has shape {tuple(state[name].shape)} and this "
                    f"table needs {tuple(own.shape)}: it belongs to other labels or another "
                    "prompts.tokens. Resume with those saved beside it"
                )
        for name in ("mean", "square", "count"):
            own = getattr(self, name)
            own.copy_(state[name])
