"""The table of learnt token embeddings, one row per cluster, and the texts they stand for.

docs/definition.md, "Stage II". Shapes: K clusters over all blocks, M tokens, W the text
transformer's width, D dimensions. A block is one (scenario, group).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itkm_core.errors import LabelError
from itkm_core.learning.config import PromptConfig
from itkm_core.learning.precision import forward_in
from itkm_core.learning.prompt_template import PromptTemplate
from itkm_core.model.clip import LoadedClip
from itkm_core.model.text_encoder import TextEncoder

_PURPOSE = 0x7E47  # the start of the tokens depends on no other draw from the same seed


class PromptLearner:
    """The learnt tokens of every cluster of every block. Build it with `from_clip`.

    Attributes:
        encoder: the frozen text encoder.
        template: the words around the learnt ones.
        tokens: float32 [K, M, W], on the encoder's device; block by block, N(0, std^2) at first.
        offsets: int64 [blocks + 1]; cluster c of block b is row `offsets[b] + c`.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        template: PromptTemplate,
        num_clusters: Sequence[int],
        *,
        seed: int,
        std: float = 0.02,
    ) -> None:
        if not num_clusters or min(num_clusters) < 1:
            raise LabelError(
                f"blocks of {list(num_clusters)} clusters: expected at least one block, and at "
                "least one cluster in each. Label again with a larger labels.eps"
            )
        self.encoder = encoder
        self.template = template
        self.offsets = np.concatenate([[0], np.cumsum(num_clusters)]).astype(np.int64)
        shape = (int(self.offsets[-1]), template.num_tokens, encoder.width)
        rng = np.random.default_rng(np.random.SeedSequence((seed, _PURPOSE)))
        start = rng.standard_normal(shape, dtype=np.float32) * np.float32(std)
        self.tokens = torch.from_numpy(start).to(encoder.device)

    @classmethod
    def from_clip(
        cls, clip: LoadedClip, num_clusters: Sequence[int], config: PromptConfig, *, seed: int
    ) -> PromptLearner:
        """Copy the text tower of a CLIP and start a prompt for each cluster.

        Args:
            clip: on the device to learn on; left as it is.
            num_clusters: of each block, in the order of the plans' blocks.
            config: tokens, template and initial spread.
            seed: of the initial tokens.

        Raises:
            ConfigError: a template that cannot be used (see `PromptTemplate.from_text`).
            LabelError: a block without clusters.
            ModelError: a text tower that cannot be used (see `TextEncoder.from_open_clip`).
        """
        encoder = TextEncoder.from_open_clip(clip.model)
        template = PromptTemplate.from_text(encoder, clip.tokenizer, config.template, config.tokens)
        return cls(encoder, template, num_clusters, seed=seed, std=config.init_std)

    def encode(self, tokens: Tensor) -> Tensor:
        """Learnt tokens [C, M, W] -> texts float32 [C, D], unit rows; gradients reach `tokens`."""
        return self.encoder(*self.template.fill(tokens))


@torch.no_grad()
def offline_text(
    learner: PromptLearner, *, at_once: int = 1024, precision: str = "fp32"
) -> list[NDArray[np.float32]]:
    """The offline text representations T^0 of every cluster (docs/definition.md, "Stage II").

    Workers exchange nothing here: any of them may call it alone.

    Args:
        at_once: prompts encoded at a time, which bounds the memory.
        precision: "fp32" or "bf16" (autocast).

    Returns:
        For each block float32 [K_block, D], unit rows, row c for cluster c.
    """
    with forward_in(precision, learner.encoder.device):
        parts = [learner.encode(part).cpu() for part in learner.tokens.split(at_once)]
    texts = torch.cat(parts).numpy()
    return [texts[start:stop] for start, stop in pairwise(learner.offsets.tolist())]
