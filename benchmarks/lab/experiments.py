"""What experiments change in the method, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.lab.method import Array, Group, Method
from itkm_core.learning.heterogeneous import Links, StageThree
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.terms import Term
from itkm_core.matching.clusters import joined_rows
from pipelines.artifacts.blocks import Block


class TargetTerm(Term):
    """Cross entropy of softmax(v . M' / tau) with a row of targets for each cluster."""

    def __init__(
        self,
        name: str,
        memories: list[ClusterMemory],
        opposite: list[int],
        targets: list[Tensor],
        temperature: float,
        weight: float,
    ) -> None:
        self.name, self.weight, self.temperature = name, weight, temperature
        self.memories, self.opposite, self.targets = memories, opposite, targets

    def losses(self, block: int, features: Tensor, labels: Array, sample_ids: Array) -> Tensor:
        logits = features.float() @ self.memories[self.opposite[block]].centroids.T
        targets = self.targets[block][torch.from_numpy(labels)]
        return -(targets * F.log_softmax(logits / self.temperature, dim=1)).sum(dim=1)


class SoftMatch(Method):
    """CHM with softmax(A / gamma) over the opposite clusters in place of hard matches."""

    gamma = 0.02

    def soft_affinity(self, first: Group, second: Group) -> Array:
        share = self.config.matching.image_weight
        rows = [
            joined_rows(self.compared_centroids(group), group.text, share)
            for group in (first, second)
        ]
        return rows[0] @ rows[1].T

    def stage_three(self, memories: list[ClusterMemory], links: Links, **given: Any) -> StageOne:
        blocks = list(self.groups)
        targets: list[Tensor] = [torch.zeros(0)] * len(blocks)
        opposite = [blocks.index(block.opposite) for block in blocks]
        for scenario in dict.fromkeys(block.scenario for block in blocks):
            sides = [self.groups[Block(scenario, side)] for side in (0, 1)]
            affinity = self.soft_affinity(*sides)
            for side, table in enumerate((affinity, affinity.T)):
                values = torch.from_numpy(np.ascontiguousarray(table)) / self.gamma
                targets[blocks.index(sides[side].block)] = values.softmax(dim=1)
        tau, weight = self.config.homogeneous.temperature, given["options"].chm_weight
        term = TargetTerm("soft", memories, opposite, targets, tau, weight)
        kept = Links(links.texts, None, links.banks, links.instances)
        stage = StageThree(self.encoder, memories, links=kept, **given)
        stage.terms = (*stage.terms, term)
        return stage


class UnifiedTerm(Term):
    """L_uni of PoSeD: one softmax over both memories, own and matched clusters as positives."""

    name, weight = "unified", 1.0

    def __init__(self, memories: list[ClusterMemory], clusters: Any, temperature: float) -> None:
        self.memories, self.clusters, self.temperature = memories, clusters, temperature

    def losses(self, block: int, features: Tensor, labels: Array, sample_ids: Array) -> Tensor:
        links = self.clusters[block]
        both = [self.memories[block].centroids, self.memories[links.opposite].centroids]
        logits = features.float() @ torch.cat(both).T / self.temperature
        targets = torch.zeros_like(logits)
        targets[torch.arange(len(labels)), torch.from_numpy(labels)] = 1.0
        indptr, indices = links.take(labels)
        rows = np.repeat(np.arange(len(labels)), np.diff(indptr))
        targets[torch.from_numpy(rows), torch.from_numpy(indices) + len(both[0])] = 1.0
        targets = targets / targets.sum(dim=1, keepdim=True)
        return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1)


class Unified(Method):
    """Unified contrast in place of CHM, beside L_homo."""

    def stage_three(self, memories: list[ClusterMemory], links: Links, **given: Any) -> StageOne:
        kept = Links(links.texts, None, links.banks, links.instances)
        stage = StageThree(self.encoder, memories, links=kept, **given)
        tau = self.config.homogeneous.temperature
        stage.terms = (*stage.terms, UnifiedTerm(memories, links.clusters, tau))
        return stage


VARIANTS: dict[str, type[Method]] = {each.__name__: each for each in (Method, SoftMatch, Unified)}
