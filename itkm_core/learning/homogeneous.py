"""Stage I, unsupervised homogeneous learning: contrast images with the memory of their own group.

METHOD "Stage I". Knows torch.distributed and nothing of who started the workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from itkm_core.corpus.sampling import BatchPlan, slice_bounds
from itkm_core.errors import TrainingError
from itkm_core.learning import distributed
from itkm_core.learning.config import HomogeneousConfig
from itkm_core.learning.losses import cluster_nce
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.optimizer import learning_rate, make_optimizer

__all__ = ["HomogeneousConfig", "StageOne", "StepResult"]


@dataclass(frozen=True)
class StepResult:
    """What a step did; the same on every worker.

    Attributes:
        loss: mean over the blocks of their mean loss.
        block_losses: mean loss of each (scenario, group), in the order of the memories.
        num_images: B, over all workers.
        learning_rate: of this step.
        gradient_norm: before it was cut.
        global_step: optimizer steps taken in the run, this one included.
    """

    loss: float
    block_losses: tuple[float, ...]
    num_images: int
    learning_rate: float
    gradient_norm: float
    global_step: int


class StageOne:
    """The encoder, one memory per (scenario, group) and the optimizer.

    Every worker makes one, with the same arguments, after the process group is initialised. Workers
    then hold the same encoder and bit-identical memories after every step.

    Args:
        encoder: an `ImageEncoder` on its device, plain or under DistributedDataParallel (it is put
            there when there are several workers); trained in place.
        memories: in the order of the blocks of the plans; moved to the encoder's device and changed
            in place.
        config: see `HomogeneousConfig`.
        total_steps: planned for the whole run, all rounds; the learning rate ends there.
    """

    def __init__(
        self,
        encoder: nn.Module,
        memories: Sequence[ClusterMemory],
        config: HomogeneousConfig,
        *,
        total_steps: int,
    ) -> None:
        self.model = distributed.wrap(encoder)
        self.encoder = distributed.unwrap(self.model)
        self.device = next(self.encoder.parameters()).device
        self.memories = [memory.to(self.device) for memory in memories]
        self.config = config
        self.total_steps = total_steps
        self.global_step = 0
        self.optimizer = make_optimizer(
            self.encoder, lr=config.lr, weight_decay=config.weight_decay
        )
        self.encoder.checkpoint_activations(config.checkpoint_activations)
        self.encoder.train()

    def step(self, images: Tensor, plan: BatchPlan) -> StepResult:
        """One optimizer step on a planned global batch, then the memory update.

        The loss is the mean over the (scenario, group) of the mean over their images, so that a
        group with few clusters weighs as much as any other. Its gradient is that of one worker
        holding the whole batch, however unevenly it is sliced and into however many parts. The
        memories move by the features from before the step, in global batch order.

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
        rate = self._set_learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        features, shares = self._forward_backward(images, plan, mine, world)
        block_losses = distributed.sum_over_workers(shares)
        loss = self._finite(block_losses.mean(), "loss", plan)
        norm = torch.nn.utils.clip_grad_norm_(
            self.encoder.parameters(), self.config.max_grad_norm or float("inf")
        )
        gradient_norm = self._finite(norm, "gradient norm", plan)
        sizes = np.diff(slice_bounds(len(plan), world)).tolist()
        gathered = distributed.gather_rows(features, sizes)
        self.optimizer.step()
        self.global_step += 1
        for number, memory in enumerate(self.memories):
            rows = np.flatnonzero(plan.block == number)
            own = gathered[torch.from_numpy(rows).to(self.device)]
            memory.update(own, plan.labels[rows], self.config.momentum)
        return StepResult(
            loss=loss,
            block_losses=tuple(block_losses.tolist()),
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
            "memories": [memory.centroids.cpu() for memory in self.memories],
        }

    def load_state_dict(self, state: dict[str, Any], *, memories: bool = True) -> None:
        """Take up a saved state.

        Args:
            state: of `state_dict`.
            memories: False keeps this round's own memories, for going on from the optimizer of an
                earlier round.

        Raises:
            TrainingError: memories of another number or shape: they belong to other labels.
        """
        if memories:
            saved = [tuple(m.shape) for m in state["memories"]]
            own = [tuple(m.centroids.shape) for m in self.memories]
            if saved != own:
                raise TrainingError(
                    f"The saved memories have shapes {saved} and this round's labels need {own}: "
                    "they belong to other labels. Resume with the labels saved beside them"
                )
            for memory, centroids in zip(self.memories, state["memories"], strict=True):
                memory.centroids = centroids.to(self.device, torch.float32).clone()
        self.optimizer.load_state_dict(state["optimizer"])
        self.global_step = int(state["global_step"])

    def _forward_backward(
        self, images: Tensor, plan: BatchPlan, mine: BatchPlan, world: int
    ) -> tuple[Tensor, Tensor]:
        """This worker's features [b, D], detached, and its shares of the blocks' mean losses."""
        counts = np.bincount(plan.block, minlength=plan.num_blocks)
        parts = slice_bounds(len(mine), min(self.config.accumulate, len(mine)))
        block_losses = torch.zeros(plan.num_blocks, device=self.device)
        features = []
        for start, stop in pairwise(parts):
            rows = mine.rows(start, stop)
            with distributed.without_gradient_sync(self.model, stop < len(mine)):
                with torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
                ):
                    output = self.model(
                        images[start:stop].to(self.device, non_blocking=True),
                        torch.from_numpy(rows.groups),
                        torch.from_numpy(rows.scenarios),
                    )
                shares = self._block_shares(output, rows, counts)
                # DistributedDataParallel divides the sum of the gradients by the workers.
                (shares.sum() * (world / plan.num_blocks)).backward()
            features.append(output.detach())
            block_losses += shares.detach()
        return torch.cat(features), block_losses

    def _block_shares(self, output: Tensor, rows: BatchPlan, counts: np.ndarray) -> Tensor:
        """[num_blocks]: these rows' losses summed, over the block's size in the whole batch."""
        shares = []
        for number, memory in enumerate(self.memories):
            members = np.flatnonzero(rows.block == number)
            if len(members) == 0:
                shares.append(output.new_zeros(()))
                continue
            losses = cluster_nce(
                output[torch.from_numpy(members).to(self.device)],
                torch.from_numpy(rows.labels[members]).to(self.device),
                memory.centroids,
                self.config.temperature,
            )
            shares.append(losses.sum() / int(counts[number]))
        return torch.stack(shares)

    def _set_learning_rate(self) -> float:
        rate = learning_rate(
            self.global_step,
            lr=self.config.lr,
            warmup_steps=self.config.warmup_steps,
            total_steps=self.total_steps,
            min_lr_ratio=self.config.min_lr_ratio,
        )
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
        if len(images) != len(mine) or plan.num_blocks != len(self.memories):
            raise TrainingError(
                f"{len(images)} images and {len(self.memories)} memories for a slice of "
                f"{len(mine)} rows in {plan.num_blocks} blocks: expected the images of "
                "plan.slice(rank, world) and one memory per block"
            )
        for number, memory in enumerate(self.memories):
            highest = plan.labels[plan.block == number].max(initial=-1)
            if highest >= memory.num_clusters:
                raise TrainingError(
                    f"Block {number} has an image of cluster {highest} and its memory "
                    f"{memory.num_clusters} clusters: both must come from the same labels"
                )
        return mine

    def _finite(self, value: Tensor, what: str, plan: BatchPlan) -> float:
        # Sums over workers are not finite if any part is not, so all workers come to the same end.
        number = value.item()
        if not np.isfinite(number):
            raise TrainingError(
                f"The {what} is {number} at step {plan.step} of round {plan.round} (step "
                f"{self.global_step} of the run), on at least one worker. Lower lr (now "
                f"{self.config.lr}), or use precision fp32 if this is bf16. Weights and memories "
                "are those from before this step"
            )
        return number
