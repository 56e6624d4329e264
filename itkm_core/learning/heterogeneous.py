"""Stage III, unsupervised heterogeneous learning: Stage I plus text and matching.

docs/definition.md, "Stage III".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from itkm_core.corpus.sampling import Ints
from itkm_core.errors import TrainingError
from itkm_core.learning.config import HeterogeneousConfig, HomogeneousConfig
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.instance_bank import InstanceBank
from itkm_core.learning.losses import cluster_nce
from itkm_core.learning.matching_terms import ClusterMatchTerm, InstanceMatchTerm
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.terms import Positives, Term


class TextTerm(Term):
    """L_text: contrast with the text representations of the block's own clusters, which stay fixed.

    Args:
        texts: float32 [K, D] of each block, unit rows, row c of cluster c; None for a block without.
        temperature: tau_t.
        weight: l_t.
    """

    name = "text"

    def __init__(
        self, texts: Sequence[Tensor | None], *, temperature: float, weight: float
    ) -> None:
        self.texts = [None if text is None else text.detach().float() for text in texts]
        self.temperature, self.weight = temperature, weight

    def to(self, device: torch.device) -> None:
        self.texts = [None if text is None else text.to(device) for text in self.texts]

    def losses(self, block: int, features: Tensor, labels: Ints, sample_ids: Ints) -> Tensor | None:
        text = self.texts[block]
        if text is None:
            return None
        targets = torch.from_numpy(labels).to(features.device)
        return cluster_nce(features, targets, text, self.temperature)


@dataclass(frozen=True)
class Links:
    """What a round of Stage III learns from besides its labels. A part that is None is absent.

    Every part has an entry per block, in the order of the blocks of the plans, and None for a block that has
    none, such as the only group of its scenario.

    texts: float32 [K, D] text representation of each cluster (after DRU).
    clusters: positives of each cluster among the opposite block's clusters (CHM).
    banks: this round's features; moved to the encoder's device and changed in place (IHM).
    instances: positives of each bank row among the opposite bank's rows (IHM).
    """

    texts: Sequence[Tensor | None] | None = None
    clusters: Sequence[Positives | None] | None = None
    banks: Sequence[InstanceBank | None] | None = None
    instances: Sequence[Positives | None] | None = None


class StageThree(StageOne):
    """L = L_homo + l_c L_chm + l_i L_ihm + l_t L_text (docs/definition.md, "Stage III").

    A term whose links are not given, or whose weight is 0, is absent.

    Args:
        encoder, memories, config, total_steps: see `StageOne`.
        options: weights and other options of the added terms.
        links: what the added terms learn from.

    Raises:
        TrainingError: links that do not belong together, or instances without banks.
    """

    def __init__(
        self,
        encoder: nn.Module,
        memories: Sequence[ClusterMemory],
        config: HomogeneousConfig,
        *,
        total_steps: int,
        options: HeterogeneousConfig,
        links: Links,
    ) -> None:
        terms: list[Term] = []
        if links.clusters is not None and options.chm_weight:
            terms.append(
                ClusterMatchTerm(
                    memories,
                    links.clusters,
                    temperature=config.temperature,
                    weight=options.chm_weight,
                )
            )
        if links.instances is not None and options.ihm_weight:
            _check_banks(links.banks, memories)
            terms.append(
                InstanceMatchTerm(
                    links.banks or (),
                    links.instances,
                    temperature=config.temperature,
                    momentum=options.instance_momentum,
                    max_negatives=options.max_negatives,
                    weight=options.ihm_weight,
                )
            )
        if links.texts is not None and options.text_weight:
            _check_texts(links.texts, memories)
            terms.append(
                TextTerm(
                    links.texts, temperature=options.text_temperature, weight=options.text_weight
                )
            )
        super().__init__(encoder, memories, config, total_steps=total_steps, terms=terms)


def _one_per_block(seen: Sequence[object], own: Sequence[object]) -> bool:
    return len(seen) == len(own) and all(a in (None, b) for a, b in zip(seen, own, strict=True))


def _check_texts(texts: Sequence[Tensor | None], memories: Sequence[ClusterMemory]) -> None:
    own = [tuple(memory.centroids.shape) for memory in memories]
    seen = [None if text is None else tuple(text.shape) for text in texts]
    if not _one_per_block(seen, own):
        raise TrainingError(
            f"Text representations of shapes {seen} for memories of shapes {own}: expected one row "
            "per cluster of this round. Update them with this round's labels"
        )


def _check_banks(
    banks: Sequence[InstanceBank | None] | None, memories: Sequence[ClusterMemory]
) -> None:
    own = [memory.centroids.shape[1] for memory in memories]
    seen = [None if bank is None else bank.features.shape[1] for bank in banks or ()]
    if not _one_per_block(seen, own):
        raise TrainingError(
            f"Instance matches with instance banks of dimensions {seen} for memories of {own}: "
            "expected one bank per block, None where there is nothing to match"
        )
