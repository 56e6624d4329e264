"""The text side of training `itkm-tiny`: the tower over the words that occur, and CLIP's loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CompactText(nn.Module):
    """The text tower of a CLIP over the words that occur, and no longer than the captions. [ours]

    A batch has few of CLIP's 49,408 words; an optimizer step over the whole table would cost more
    than the forward and backward of the tower.

    Args:
        clip: an `open_clip.CLIP`; its tower is shared, not copied. Its word table is left as it is
            until `write_back`.
        tokens: int64 [N, 77], every caption there is, padded with 0.
    """

    def __init__(self, clip: Any, tokens: Tensor) -> None:
        super().__init__()
        self.clip = clip
        longest = int((tokens != 0).sum(1).max())
        self.words, self.tokens = tokens[:, :longest].unique(return_inverse=True)
        self.ends = tokens.argmax(1)  # the end-of-text token has the largest number
        self.embedding = nn.Parameter(clip.token_embedding.weight.detach()[self.words].clone())

    def forward(self, rows: Tensor) -> Tensor:
        """Unit-norm text vectors [B, D] of the captions `rows` int64 [B]."""
        clip, tokens = self.clip, self.tokens[rows]
        length = tokens.shape[1]
        x = self.embedding[tokens] + clip.positional_embedding[:length]
        # Attention looks back only, so what is cut off behind the captions changes nothing.
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)
        x = x[torch.arange(len(rows)), self.ends[rows]] @ clip.text_projection
        return F.normalize(x, dim=-1)

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the trained words into the model's table."""
        self.clip.token_embedding.weight[self.words] = self.embedding


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """CLIP's loss (Radford et al., ICML 2021, figure 3): symmetric cross-entropy over the batch.

    Args:
        images: unit-norm [B, D].
        texts: unit-norm [B, D]; row i belongs to image i.
        scale: the inverse of the temperature.
    """
    logits = scale * images @ texts.T
    target = torch.arange(len(images))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
