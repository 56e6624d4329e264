"""Stage II, text representation learning: a few learnt tokens for every cluster of Stage I.

docs/definition.md, "Stage II". It uses torch.distributed and does not care who started the workers.

A step encodes and updates only the prompts of the clusters in its batch, so it costs the same with
tens of thousands of clusters as with hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan, slice_bounds, slice_sizes
from itkm_core.errors import TrainingError
from itkm_core.learning import distributed
from itkm_core.learning.checks import check_labels, finite
from itkm_core.learning.config import PromptConfig
from itkm_core.learning.optimizer import learning_rate
from itkm_core.learning.precision import forward_in
from itkm_core.learning.prompt_batch import BatchClusters, prompt_losses
from itkm_core.learning.prompt_learner import PromptLearner
from itkm_core.learning.row_adam import RowAdam


@dataclass(frozen=True)
class PromptStepResult:
    """What a step did; the same on every worker.

    Attributes:
        loss: sum of `term_losses`, the separation times its weight.
        term_losses: see `prompt_losses`.
        num_images: B, over all workers.
        num_clusters: C, prompts encoded and updated.
        learning_rate: of this step.
        gradient_norm: over all tokens of the batch's clusters.
        global_step: optimizer steps taken, this one included.
    """

    loss: float
    term_losses: dict[str, float]
    num_images: int
    num_clusters: int
    learning_rate: float
    gradient_norm: float
    global_step: int


class StageTwo:
    """The prompts and their optimizer.

    Every worker makes one, with the same arguments, after the process group is initialised. A step
    gathers the image vectors, shares the batch's prompts out for encoding, and gathers the texts
    and then the gradients of the tokens, so that all workers hold bit-identical prompts.

    [ours] The default temperature is 0.1, not the CLIP's own. With `itkm-tiny`, whose own is 0.027,
    prompts then tell their images apart equally well, and a person's prompts in the two groups find
    each other about twice as often: a sharp softmax makes prompts rely on whatever sets them apart
    from their neighbours.

    Args:
        learner: changed in place.
        config: see `PromptConfig`.
        total_steps: over which the learning rate falls; `config.steps` by default.
    """

    def __init__(
        self, learner: PromptLearner, config: PromptConfig, *, total_steps: int | None = None
    ) -> None:
        self.learner = learner
        self.config = config
        self.device = learner.encoder.device
        self.total_steps = config.steps if total_steps is None else total_steps
        self.global_step = 0
        self.optimizer = RowAdam(learner.tokens, weight_decay=config.weight_decay)
        trained = learner.encoder.logit_scale
        self.scale = trained if config.temperature is None else 1 / config.temperature
        self.margin = config.separation_margin if config.separation_weight else None

    def step(self, image_vectors: Tensor, plan: BatchPlan) -> PromptStepResult:
        """One optimizer step on a planned global batch.

        Args:
            image_vectors: float32 [b, D], unit rows: the frozen CLIP's vectors of the images of
                `plan.slice(rank, world)`.
            plan: the whole plan, the same on every worker; its blocks are the learner's.

        Raises:
            TrainingError: on every worker, before anything is changed: the loss or its gradient is
                not finite, or vectors, plan and prompts do not belong together.
        """
        rank, world = distributed.rank_and_world()
        self._check(image_vectors, plan, rank, world)
        clusters = BatchClusters.of_plan(plan, self.learner.offsets)
        images = distributed.gather_rows(
            image_vectors.to(self.device, torch.float32), slice_sizes(len(plan), world)
        )
        own = slice(*slice_bounds(len(clusters.rows), world)[rank : rank + 2])
        shares = slice_sizes(len(clusters.rows), world)
        rows = torch.from_numpy(clusters.rows).to(self.device)

        tokens = self.learner.tokens[rows[own]].requires_grad_()
        with forward_in(self.config.precision, self.device):
            own_texts = self.learner.encode(tokens)
        # Every worker computes the whole loss, which is cheap, and backpropagates through its own texts.
        texts = distributed.gather_rows(own_texts, shares).requires_grad_()
        terms = prompt_losses(
            images, texts, clusters, scale=self.scale, separation_margin=self.margin
        )
        total = terms["image_to_text"] + terms["text_to_image"]
        if "separation" in terms:
            total = total + self.config.separation_weight * terms["separation"]
        advice = f"Check the image vectors, lower prompts.lr (now {self.config.lr})"
        loss = finite(total, "loss of the prompts", plan, advice)
        (to_texts,) = torch.autograd.grad(total, texts)
        (to_tokens,) = torch.autograd.grad(own_texts, tokens, to_texts[own])
        gradients = distributed.gather_rows(to_tokens, shares)
        norm = finite(gradients.norm(), "gradient norm of the prompts", plan, advice)

        rate = learning_rate(self.global_step, self.total_steps, self.config)
        self.optimizer.step(self.learner.tokens, rows, gradients, rate)
        self.global_step += 1
        return PromptStepResult(
            loss=loss,
            term_losses={name: term.item() for name, term in terms.items()},
            num_images=len(plan),
            num_clusters=len(clusters.rows),
            learning_rate=rate,
            gradient_norm=norm,
            global_step=self.global_step,
        )

    def state_dict(self) -> dict[str, Any]:
        """The prompts, the optimizer and the step; tensors, numbers and lists only."""
        return {
            "global_step": self.global_step,
            "tokens": self.learner.tokens.cpu().clone(),
            "offsets": self.learner.offsets.tolist(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved state.

        Raises:
            TrainingError: prompts of other clusters or of another shape.
        """
        saved = state["offsets"], tuple(state["tokens"].shape)
        own = self.learner.offsets.tolist(), tuple(self.learner.tokens.shape)
        if saved != own:
            raise TrainingError(
                f"The saved prompts are {saved[1]} for blocks that start at {saved[0]}, and these "
                f"labels need {own[1]} and {own[0]}: they belong to other labels or another "
                "prompts.tokens. Resume with the labels and the config saved beside them"
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self.learner.tokens.copy_(state["tokens"])
        self.global_step = int(state["global_step"])

    def _check(self, image_vectors: Tensor, plan: BatchPlan, rank: int, world: int) -> None:
        expected = len(plan.slice(rank, world))
        if len(image_vectors) != expected:
            raise TrainingError(
                f"{len(image_vectors)} image vectors for a slice of {expected} rows: expected the "
                "vectors of plan.slice(rank, world)"
            )
        check_labels(plan, np.diff(self.learner.offsets).tolist(), "prompts")
