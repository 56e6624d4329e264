"""The terms that pull the two groups of a scenario together (docs/definition.md, "CHM", "IHM").

n images of one block, K clusters and N images of its opposite block, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan, Ints
from itkm_core.errors import TrainingError
from itkm_core.learning.instance_bank import InstanceBank
from itkm_core.learning.losses import match_nce
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.terms import Positives, Term


class ClusterMatchTerm(Term):
    """L_chm: ClusterNCE against the opposite memory, the matched clusters as positives.

    Args:
        memories: the homogeneous term's own, which moves them; here they are only read.
        positives: of each block's clusters; None for a block with nothing to match.
        temperature: tau.
        weight: l_c.

    Raises:
        TrainingError: positives that do not belong to the memories.
    """

    name = "chm"

    def __init__(
        self,
        memories: Sequence[ClusterMemory],
        positives: Sequence[Positives | None],
        *,
        temperature: float,
        weight: float,
    ) -> None:
        self.memories, self.positives = memories, tuple(positives)
        self.temperature, self.weight = temperature, weight
        sizes = [memory.num_clusters for memory in memories]
        for block, links in _per_block(positives, len(sizes), "cluster matches"):
            links.check("cluster matches", block, sizes)

    def losses(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> Tensor | None:
        links = self.positives[block]
        if links is None:
            return None
        indptr, indices = links.take(labels)
        if len(indices) == 0:
            return None
        opposite = self.memories[links.opposite].centroids
        return match_nce(features, opposite, indptr, indices, self.temperature)


@dataclass(frozen=True)
class _Candidates:
    """Rows of the opposite bank that a block's images of one step are contrasted with."""

    rows: Ints | None  # ascending; None: all of them
    vectors: Tensor  # [C, D]


class InstanceMatchTerm(Term):
    """L_ihm: contrast with the opposite instance bank, images that match in both spaces as positives.

    A bank of at most `max_negatives` rows is the denominator as a whole. Of a larger one it is the
    positives of the block's images in the batch, and then these images' nearest opposite rows
    (`Positives.hard`), the nearest first, up to `max_negatives` rows in all, the same rows for every
    image: a step costs the same however large the bank. [ours]

    Args:
        banks: of each block; None where the scenario has no other group.
        positives: of each block's bank rows; None for a block with nothing to match.
        temperature: tau.
        momentum: mu of the banks.
        max_negatives: see above; positives are kept even if they alone are more.
        weight: l_i.

    Raises:
        TrainingError: positives that do not belong to the banks, or an opposite bank of more than
            `max_negatives` rows and no `hard` to choose from.
    """

    name = "ihm"

    def __init__(
        self,
        banks: Sequence[InstanceBank | None],
        positives: Sequence[Positives | None],
        *,
        temperature: float,
        momentum: float,
        max_negatives: int,
        weight: float,
    ) -> None:
        self.banks, self.positives = tuple(banks), tuple(positives)
        self.temperature, self.momentum, self.weight = temperature, momentum, weight
        self.max_negatives = max_negatives
        self._candidates: dict[int, _Candidates] = {}
        sizes = [0 if bank is None else len(bank) for bank in banks]
        for block, links in _per_block(positives, len(sizes), "instance matches"):
            links.check("instance matches", block, sizes)
            if banks[block] is None or banks[links.opposite] is None:
                raise TrainingError(
                    f"The instance matches of block {block} lead to block {links.opposite}, and one "
                    "of the two has no instance bank: expected both"
                )
            if sizes[links.opposite] > max_negatives and links.hard is None:
                raise TrainingError(
                    f"The bank opposite to block {block} has {sizes[links.opposite]} images, more "
                    f"than max_negatives {max_negatives}, and no hard negatives were given: match "
                    "with num_hard, or raise max_negatives"
                )

    def to(self, device: torch.device) -> None:
        for bank in self.banks:
            if bank is not None:
                bank.to(device)

    def begin(self, plan: BatchPlan) -> None:
        self._candidates.clear()
        for block, links in enumerate(self.positives):
            bank = self.banks[block]
            samples = plan.sample_ids[plan.block == block]
            if links is None or bank is None or len(samples) == 0:
                continue
            vectors = self._bank(links.opposite).features
            chosen = self._choose(links, np.unique(bank.rows(samples)), len(vectors))
            if chosen is not None:
                vectors = vectors[torch.from_numpy(chosen).to(vectors.device)]
            self._candidates[block] = _Candidates(chosen, vectors)

    def losses(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> Tensor | None:
        links, bank = self.positives[block], self.banks[block]
        if links is None or bank is None:
            return None
        indptr, indices = links.take(bank.rows(sample_ids))
        if len(indices) == 0:
            return None
        candidates = self._candidates[block]
        if candidates.rows is not None:
            indices = np.searchsorted(candidates.rows, indices)
        return match_nce(features, candidates.vectors, indptr, indices, self.temperature)

    def update(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> None:
        bank = self.banks[block]
        if bank is not None:
            bank.update(features, sample_ids, self.momentum)

    def vectors(self) -> dict[str, list[Tensor]]:
        return {"banks": [bank.features for bank in self.banks if bank is not None]}

    def _choose(self, links: Positives, rows: Ints, num_opposite: int) -> Ints | None:
        """Rows of the opposite bank for the block's images `rows`; None for all of them."""
        if num_opposite <= self.max_negatives:
            return None
        assert links.hard is not None  # __init__ saw to it
        positives = links.take(rows)[1]
        # Every image's nearest row, then every image's second nearest, and so on.
        ranked = np.concatenate([positives, links.hard[rows].T.ravel()])
        _, first = np.unique(ranked, return_index=True)
        room = max(self.max_negatives, len(np.unique(positives)))
        return np.sort(ranked[np.sort(first)[:room]]).astype(np.int64)

    def _bank(self, block: int) -> InstanceBank:
        bank = self.banks[block]
        assert bank is not None  # links to it were checked against its size
        return bank


def _per_block(
    positives: Sequence[Positives | None], num_blocks: int, what: str
) -> list[tuple[int, Positives]]:
    """Those that are there, with their blocks; TrainingError unless there is an entry per block."""
    if len(positives) != num_blocks:
        raise TrainingError(
            f"{what} for {len(positives)} blocks: expected one entry for each of {num_blocks}, None "
            "where there is nothing to match"
        )
    return [(block, links) for block, links in enumerate(positives) if links is not None]
