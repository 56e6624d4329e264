"""Stage I, unsupervised homogeneous learning: contrast images with the memory of their own group.

docs/definition.md, "Stage I".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from itkm_core.corpus.sampling import BatchPlan, Ints
from itkm_core.learning.checks import check_labels
from itkm_core.learning.config import HomogeneousConfig
from itkm_core.learning.losses import cluster_nce
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.terms import Term
from itkm_core.learning.trainer import Trainer


class HomogeneousTerm(Term):
    """L_homo: ClusterNCE against the block's own memory, which the images then move."""

    name = "homogeneous"
    weight = 1.0

    def __init__(
        self, memories: Sequence[ClusterMemory], *, temperature: float, momentum: float
    ) -> None:
        self.memories = list(memories)
        self.temperature, self.momentum = temperature, momentum

    def to(self, device: torch.device) -> None:
        for memory in self.memories:
            memory.to(device)

    def begin(self, plan: BatchPlan) -> None:
        check_labels(plan, [memory.num_clusters for memory in self.memories], "memories")

    def losses(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> Tensor:
        targets = torch.from_numpy(labels).to(features.device)
        return cluster_nce(features, targets, self.memories[block].centroids, self.temperature)

    def update(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> None:
        self.memories[block].update(features, labels, self.momentum)

    def vectors(self) -> dict[str, list[Tensor]]:
        return {"memories": [memory.centroids for memory in self.memories]}


class StageOne(Trainer):
    """The trainer with the homogeneous term, alone unless others are given.

    Args:
        encoder: see `Trainer`.
        memories: in the order of the blocks of the plans; moved to the encoder's device and changed
            in place.
        config: see `HomogeneousConfig`.
        total_steps: planned for the whole run, all rounds, over which the learning rate falls.
        terms: added to L_homo.
    """

    def __init__(
        self,
        encoder: nn.Module,
        memories: Sequence[ClusterMemory],
        config: HomogeneousConfig,
        *,
        total_steps: int,
        terms: Sequence[Term] = (),
    ) -> None:
        own = HomogeneousTerm(memories, temperature=config.temperature, momentum=config.momentum)
        self.memories = own.memories
        super().__init__(encoder, [own, *terms], config, total_steps=total_steps)
