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
        # Attention only looks back, so what is cut off after the captions changes nothing.
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)
        x = x[torch.arange(len(rows)), self.ends[rows]] @ clip.text_projection
        return F.normalize(x, dim=-1)

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the trained words into the model's table."""
        self.clip.token_embedding.weight[self.words] = self.embedding


class WordLoss(nn.Module):
    """How well a vector tells which words are in its caption: one softmax over the words. [ours]

    After SuperClass (Huang et al., NeurIPS 2024): the target of a caption is spread over its words
    by their inverse document frequency, so "a" and "person" count for nothing. Pictures and texts
    share one table of words. CLIP's loss alone is satisfied by what tells most pictures of a batch
    apart, the colours of clothes; small things are learnt late or never.

    Args:
        tokens: int64 [N, L], the captions over a compact vocabulary.
        num_words: size of that vocabulary.
        dim: of the vectors.
    """

    def __init__(self, tokens: Tensor, num_words: int, dim: int) -> None:
        super().__init__()
        said = torch.zeros(len(tokens), num_words).scatter_(1, tokens, 1.0)
        weight = said * torch.log(len(tokens) / said.sum(0).clamp(min=1.0))
        self.target = weight / weight.sum(1, keepdim=True).clamp(min=1e-6)
        self.table = nn.Linear(dim, num_words)

    def forward(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """Mean cross-entropy of unit-norm vectors [B, D] that belong to the captions `rows` [B]."""
        log_shares = F.log_softmax(self.table(vectors * vectors.shape[1] ** 0.5), dim=-1)
        return -(self.target[rows] * log_shares).sum(-1).mean()


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
