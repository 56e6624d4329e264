"""The trainer of the image encoder: a planned batch, a sum of loss terms, one optimizer step.

Stage I and Stage III are this trainer with different terms. It uses torch.distributed and does not
care who started the workers.

Shapes: B images of a step on all workers, b of them on this one, T terms, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from itkm_core.corpus.sampling import BatchPlan, slice_bounds, slice_sizes
from itkm_core.errors import TrainingError
from itkm_core.learning import distributed
from itkm_core.learning.checks import finite
from itkm_core.learning.config import HomogeneousConfig
from itkm_core.learning.optimizer import learning_rate, make_optimizer
from itkm_core.learning.precision import forward_in
from itkm_core.learning.terms import Term

_OWN_STATE = ("global_step", "optimizer")


@dataclass(frozen=True)
class StepResult:
    """What a step did; the same on every worker.

    Attributes:
        loss: mean over the blocks of their mean loss.
        block_losses: mean loss of each (scenario, group), in the order of the memories.
        term_losses: each term by name, before its weight: mean over the blocks of the mean over all
            their images, including those that the term says nothing about.
        num_images: B, over all workers.
        learning_rate: of this step.
        gradient_norm: before clipping.
        global_step: optimizer steps taken in the run, this one included.
    """

    loss: float
    block_losses: tuple[float, ...]
    term_losses: dict[str, float]
    num_images: int
    learning_rate: float
    gradient_norm: float
    global_step: int


class Trainer:
    """The encoder, the loss terms and the optimizer.

    Every worker makes one, with the same arguments, after the process group is initialised. Workers
    then hold the same encoder, and bit-identical memories of the terms, after every step.

    Args:
        encoder: an `ImageEncoder` on its device, plain or under DistributedDataParallel (it is put
            there when there are several workers); trained in place.
        terms: their weighted losses are summed; moved to the encoder's device.
        config: see `HomogeneousConfig`; what belongs to one term is not read here.
        total_steps: planned for the whole run, all rounds, over which the learning rate falls.
    """

    def __init__(
        self,
        encoder: nn.Module,
        terms: Sequence[Term],
        config: HomogeneousConfig,
        *,
        total_steps: int,
    ) -> None:
        self.model = distributed.wrap(encoder)
        self.encoder = distributed.unwrap(self.model)
        self.device = next(self.encoder.parameters()).device
        self.terms = tuple(terms)
        for term in self.terms:
            term.to(self.device)
        self.config = config
        self.total_steps = total_steps
        self.global_step = 0
        self.optimizer = make_optimizer(
            self.encoder, lr=config.lr, weight_decay=config.weight_decay
        )
        self.encoder.checkpoint_activations(config.checkpoint_activations)
        self.encoder.train()

    def step(self, images: Tensor, plan: BatchPlan) -> StepResult:
        """One optimizer step on a planned global batch, then the update of the terms' memories.

        The loss is the mean over the (scenario, group) of the mean over their images, so that a
        group with few clusters weighs as much as any other. An image that a term says nothing about
        adds 0 to it and still counts in the mean: a term weighs as much as there are images it is
        sure of [ours]. The gradient is that of one worker holding the whole batch, however unevenly
        it is sliced and into however many parts. The memories move by the features from before the
        step, in global batch order.

        Args:
            images: float32 [b, 3, H, W], the images of `plan.slice(rank, world)`.
            plan: the whole plan, the same on every worker.

        Raises:
            TrainingError: on every worker, before anything is changed: the loss or its gradient is
                not finite on any of them, the batch has fewer rows than workers, or images, plan
                and memories do not belong together.
        """
        _, world = distributed.rank_and_world()
        mine = self._own_slice(images, plan)
        for term in self.terms:
            term.begin(plan)
        rate = self._set_learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        features, shares = self._forward_backward(images, plan, mine, world)
        shares = distributed.sum_over_workers(shares)
        block_losses = self._weighted(shares).sum(dim=0)
        advice = f"Lower lr (now {self.config.lr})"
        loss = finite(block_losses.mean(), "loss", plan, advice)
        norm = torch.nn.utils.clip_grad_norm_(
            self.encoder.parameters(), self.config.max_grad_norm or float("inf")
        )
        gradient_norm = finite(norm, "gradient norm", plan, advice)
        gathered = distributed.gather_rows(features, slice_sizes(len(plan), world))
        self.optimizer.step()
        self.global_step += 1
        for block in range(plan.num_blocks):
            rows = np.flatnonzero(plan.block == block)
            own = gathered[torch.from_numpy(rows).to(self.device)]
            for term in self.terms:
                term.update(block, own, plan.labels[rows], plan.sample_ids[rows])
        names = (term.name for term in self.terms)
        return StepResult(
            loss=loss,
            block_losses=tuple(block_losses.tolist()),
            term_losses=dict(zip(names, shares.mean(dim=1).tolist(), strict=True)),
            num_images=len(plan),
            learning_rate=rate,
            gradient_norm=gradient_norm,
            global_step=self.global_step,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything but the encoder's weights; tensors, numbers and lists only."""
        return {
            "global_step": self.global_step,
            "optimizer": self.optimizer.state_dict(),
            **{name: [v.cpu() for v in vectors] for name, vectors in self._vectors().items()},
        }

    def load_state_dict(self, state: dict[str, Any], *, memories: bool = True) -> None:
        """Restore a saved state.

        Args:
            state: of `state_dict`.
            memories: False keeps this round's own memories and restores only the optimizer, of an
                earlier round.

        Raises:
            TrainingError: memories of another kind, number or shape: they belong to other labels.
        """
        if memories:
            own = self._vectors()
            saved = {name: value for name, value in state.items() if name not in _OWN_STATE}
            if _shapes(saved) != _shapes(own):
                raise TrainingError(
                    f"The saved state has {_shapes(saved)} and this round's labels and terms need "
                    f"{_shapes(own)}: it belongs to other labels. Resume with the labels saved "
                    "beside it"
                )
            for name, vectors in own.items():
                for vector, value in zip(vectors, saved[name], strict=True):
                    vector.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.global_step = int(state["global_step"])

    def _vectors(self) -> dict[str, list[Tensor]]:
        return {name: vectors for term in self.terms for name, vectors in term.vectors().items()}

    def _forward_backward(
        self, images: Tensor, plan: BatchPlan, mine: BatchPlan, world: int
    ) -> tuple[Tensor, Tensor]:
        """This worker's features [b, D], detached, and its shares of the terms' block means."""
        counts = np.bincount(plan.block, minlength=plan.num_blocks)
        parts = slice_bounds(len(mine), min(self.config.accumulate, len(mine)))
        total = torch.zeros(len(self.terms), plan.num_blocks, device=self.device)
        features = []
        for start, stop in pairwise(parts):
            rows = mine.rows(start, stop)
            with distributed.without_gradient_sync(self.model, stop < len(mine)):
                with forward_in(self.config.precision, self.device):
                    output = self.model(
                        images[start:stop].to(self.device, non_blocking=True),
                        torch.from_numpy(rows.groups),
                        torch.from_numpy(rows.scenarios),
                    )
                shares = self._shares(output, rows, counts)
                # DistributedDataParallel divides the sum of the gradients by the workers.
                (self._weighted(shares).sum() * (world / plan.num_blocks)).backward()
            features.append(output.detach())
            total += shares.detach()
        return torch.cat(features), total

    def _shares(self, output: Tensor, rows: BatchPlan, counts: np.ndarray) -> Tensor:
        """[T, num_blocks]: these rows' losses summed, over the block's size in the whole batch."""
        nothing = torch.zeros((), device=self.device)
        shares = [[nothing] * rows.num_blocks for _ in self.terms]
        for block in np.unique(rows.block).tolist():
            members = np.flatnonzero(rows.block == block)
            features = output[torch.from_numpy(members).to(self.device)]
            for number, term in enumerate(self.terms):
                losses = term.losses(
                    block, features, rows.labels[members], rows.sample_ids[members]
                )
                if losses is not None:
                    shares[number][block] = losses.sum() / int(counts[block])
        return torch.stack([torch.stack(row) for row in shares])

    def _weighted(self, shares: Tensor) -> Tensor:
        return torch.stack([t.weight * row for t, row in zip(self.terms, shares, strict=True)])

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.global_step, self.total_steps, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _own_slice(self, images: Tensor, plan: BatchPlan) -> BatchPlan:
        rank, world = distributed.rank_and_world()
        if len(plan) < world:
            raise TrainingError(
                f"A batch of {len(plan)} images cannot be shared by {world} workers. Use fewer "
                "workers, or raise clusters_per_group or images_per_cluster"
            )
        mine = plan.slice(rank, world)
        if len(images) != len(mine):
            raise TrainingError(
                f"{len(images)} images for a slice of {len(mine)} rows: expected the images of "
                "plan.slice(rank, world)"
            )
        return mine


def _shapes(vectors: dict[str, list[Tensor]]) -> dict[str, list[tuple[int, ...]]]:
    return {name: [tuple(vector.shape) for vector in of] for name, of in vectors.items()}
