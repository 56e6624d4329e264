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

    gamma = 0.05

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
                targets[blocks.index(sides[side].block)] = self.sharpened(values.softmax(dim=1))
        tau, weight = self.config.homogeneous.temperature, given["options"].chm_weight
        term = TargetTerm("soft", memories, opposite, targets, tau, weight)
        kept = Links(links.texts, None, links.banks, links.instances)
        stage = StageThree(self.encoder, memories, links=kept, **given)
        stage.terms = (*stage.terms, term)
        return stage

    def sharpened(self, targets: Tensor) -> Tensor:
        return targets


class SoftMatchSharp(SoftMatch):
    gamma = 0.02


class SoftMatchSharper(SoftMatch):
    gamma = 0.01


class Sinkhorn(SoftMatch):
    """The same, with rows and columns balanced: a cluster that everybody is near to is nobody's match."""

    gamma = 0.02

    def soft_affinity(self, first: Group, second: Group) -> Array:
        rows = torch.from_numpy(super().soft_affinity(first, second)).double() / self.gamma
        sizes = rows.shape
        for _ in range(30):
            rows = rows - rows.logsumexp(dim=0, keepdim=True) + np.log(max(sizes) / sizes[1])
            rows = rows - rows.logsumexp(dim=1, keepdim=True) + np.log(max(sizes) / sizes[0])
        return (rows * self.gamma).float().numpy()


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


class TeacherTerm(Term):
    """L_sd of PoSeD: the memories as they are now teach the image."""

    name = "teacher"

    def __init__(self, memories: Any, opposite: Any, tau: float, gamma: float, weight: float):
        self.memories, self.opposite, self.tau = memories, opposite, tau
        self.gamma, self.weight = gamma, weight

    def losses(self, block: int, features: Tensor, labels: Array, sample_ids: Array) -> Tensor:
        own = self.memories[block].centroids
        other = self.memories[self.opposite[block]].centroids
        both = torch.cat([own, other])
        logits = features.float() @ both.T
        with torch.no_grad():
            q = 0.5 * own[torch.from_numpy(labels)] @ both.T + 0.5 * logits
            parts = q[:, : len(own)], q[:, len(own) :]
            teacher = torch.cat([(part / self.gamma).softmax(dim=1) for part in parts], dim=1) / 2
        return -(teacher * F.log_softmax(logits / self.tau, dim=1)).sum(dim=1)


class Teacher(Method):
    """The soft teacher beside the method."""

    gamma, teacher_weight = 0.05, 1.0

    def stage_three(self, memories: list[ClusterMemory], links: Links, **given: Any) -> StageOne:
        stage = super().stage_three(memories, links, **given)
        blocks = list(self.groups)
        opposite = [blocks.index(block.opposite) for block in blocks]
        tau = self.config.homogeneous.temperature
        term = TeacherTerm(stage.memories, opposite, tau, self.gamma, self.teacher_weight)
        stage.terms = (*stage.terms, term)
        return stage


class PullTerm(Term):
    """A pull towards the frozen CLIP's vectors: 1 - v . u."""

    name = "pull"

    def __init__(self, vectors: Array, weight: float) -> None:
        self.table, self.weight = torch.from_numpy(vectors), weight

    def losses(self, block: int, features: Tensor, labels: Array, sample_ids: Array) -> Tensor:
        return 1 - (features.float() * self.table[torch.from_numpy(sample_ids)]).sum(dim=1)


class Pull(Method):
    """The pull in Stage I and III."""

    pull = 1.0
    stage_one_name = "pull 1"

    def stage_one_terms(self) -> list[Any]:
        return [PullTerm(self.plain, self.pull)]

    def stage_three(self, memories: list[ClusterMemory], links: Links, **given: Any) -> StageOne:
        stage = super().stage_three(memories, links, **given)
        stage.terms = (*stage.terms, PullTerm(self.plain, self.pull))
        return stage


class PullHard(Pull):
    pull = 5.0
    stage_one_name = "pull 5"


class Told(Method):
    """Every match right, as the hidden identities tell: what matching could gain at most."""

    def cluster_targets(self, first: Group, second: Group) -> tuple[Any, Any]:
        from itkm_core.neighbors.csr import csr_of_pairs

        people = []
        for group in (first, second):
            count = group.labels.max() + 1
            members = [group.persons[group.labels == c] for c in range(count)]
            people.append(np.array([np.bincount(each).argmax() for each in members]))
        pairs = np.argwhere(people[0][:, None] == people[1][None, :])
        return (
            csr_of_pairs(pairs[:, 0], pairs[:, 1], len(people[0])),
            csr_of_pairs(*pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))].T[::-1], len(people[1])),
        )


VARIANTS: dict[str, type[Method]] = {
    each.__name__: each
    for each in (
        Method,
        SoftMatch,
        SoftMatchSharp,
        SoftMatchSharper,
        Sinkhorn,
        Unified,
        Teacher,
        Pull,
        PullHard,
        Told,
    )
}
