"""The interface of a loss term, and the links that the matching terms learn from.

A *block* is one (scenario, group), numbered as in the batch plans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan, Ints
from itkm_core.errors import TrainingError
from itkm_core.neighbors.csr import Csr


class Term:
    """One term of the loss, with whatever state it keeps from step to step.

    Attributes:
        name: for telemetry; unique among a trainer's terms.
        weight: of the term in the loss.
    """

    name: str
    weight: float

    def losses(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> Tensor | None:
        """The losses, before the weight, of some of a block's images in the batch.

        Args:
            block: the (scenario, group).
            features: float32 [n, D], unit rows; gradients flow into them.
            labels, sample_ids: int64 [n].

        Returns:
            float32 [n], 0 for an image that the term says nothing about; None where it says
            nothing about any image of the block.
        """
        raise NotImplementedError

    def to(self, device: torch.device) -> None:
        """Move the term's state to the encoder's device."""

    def begin(self, plan: BatchPlan) -> None:
        """Called on every worker with the whole plan of a step, before anything is computed.

        Whatever depends on the batch's other images is decided here, so that no loss depends on how
        the batch is sliced.

        Raises:
            TrainingError: the plan does not match the term's state.
        """

    def update(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> None:
        """Called on every worker after the step with all of a block's images, in batch order."""

    def vectors(self) -> dict[str, list[Tensor]]:
        """The tensors that `update` changes, by name, to be saved with the run."""
        return {}


@dataclass(frozen=True)
class Positives:
    """What each row of one block is to be close to in the opposite block.

    Rows are clusters (CHM) or images in the order of the block's instance bank (IHM).

    Attributes:
        opposite: number of the opposite block.
        rows: each row's positives, distinct rows of the opposite block; none is allowed.
        hard: integers [rows, H], each row's nearest rows of the opposite block, nearest first; used
            where the opposite bank is too large to contrast with whole.

    Raises:
        TrainingError: arrays that do not make up a CSR.
    """

    opposite: int
    rows: Csr
    hard: NDArray[np.integer] | None = None

    def __post_init__(self) -> None:
        bounds, indices = self.rows
        if bounds.ndim != 1 or len(bounds) == 0 or bounds[0] != 0 or (np.diff(bounds) < 0).any():
            raise TrainingError(
                f"indptr of shape {bounds.shape} is not a CSR's: expected [rows + 1], from 0, never "
                "falling"
            )
        if indices.shape != (bounds[-1],):
            raise TrainingError(
                f"indices of shape {indices.shape} with indptr ending at {bounds[-1]}: "
                f"expected ({bounds[-1]},)"
            )
        if self.hard is not None and (self.hard.ndim != 2 or len(self.hard) != len(self)):
            raise TrainingError(
                f"hard of shape {self.hard.shape} for {len(self)} rows: expected [rows, H]"
            )

    def __len__(self) -> int:
        return len(self.rows.indptr) - 1

    def take(self, rows: Ints) -> tuple[Ints, Ints]:
        """(indptr, indices) of the given rows, in their order, a row as often as it is given."""
        indptr, indices = self.rows.take(rows)
        return indptr, indices.astype(np.int64)

    def check(self, what: str, block: int, sizes: list[int]) -> None:
        """That these link block `block` to another one, blocks having `sizes` rows.

        Raises:
            TrainingError: another number of rows, or links to rows or blocks that do not exist.
        """
        if not 0 <= self.opposite < len(sizes) or self.opposite == block:
            raise TrainingError(
                f"The {what} of block {block} name block {self.opposite} as its opposite: expected "
                f"another one of the {len(sizes)} blocks"
            )
        links = self.rows.indices
        if self.hard is not None:
            links = np.append(links, self.hard)
        low, high = (int(links.min()), int(links.max())) if len(links) else (0, -1)
        if len(self) != sizes[block] or low < 0 or high >= sizes[self.opposite]:
            raise TrainingError(
                f"The {what} of block {block} have {len(self)} rows linked to rows {low} to {high} "
                f"of block {self.opposite}: expected {sizes[block]} rows and links below "
                f"{sizes[self.opposite]}. Match again with the labels and features of this round"
            )
