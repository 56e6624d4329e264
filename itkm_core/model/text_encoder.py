"""The frozen text encoder: CLIP's text transformer, fed with token *embeddings*.

docs/definition.md, "Stage II": prompts are learnt in the space of the word table and have no token
numbers.

Shapes: C texts of L positions, W the transformer's width, D CLIP's joint dimension.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from itkm_core.errors import ModelError

_ADVICE = "Choose a model.name with CLIP's own text tower, such as ViT-B-16 or ViT-L-14"


class TextEncoder(nn.Module):
    """Embeddings of a text's tokens -> a unit vector. Build it with `from_open_clip`.

    Attributes:
        logit_scale: 1 / temperature that the CLIP was trained to.
    """

    logit_scale: float
    attn_mask: Tensor

    def __init__(self, tower: Any, *, end_token: int | None, logit_scale: float) -> None:
        super().__init__()
        self.end_token = end_token
        self.logit_scale = logit_scale
        self.token_embedding = copy.deepcopy(tower.token_embedding)
        self.positional_embedding = nn.Parameter(tower.positional_embedding.detach().clone())
        self.transformer = copy.deepcopy(tower.transformer)
        self.ln_final = copy.deepcopy(tower.ln_final)
        self.text_projection = copy.deepcopy(tower.text_projection)
        self.register_buffer("attn_mask", tower.attn_mask.detach().clone(), persistent=False)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def from_open_clip(cls, clip: Any) -> TextEncoder:
        """Copy the text tower of an open_clip model; the model itself is left as it is.

        Args:
            clip: an open_clip model whose text tower is open_clip's own causal transformer, read
                out at the end-of-text token.

        Raises:
            ModelError: another kind of text tower.
        """
        tower, pool, end_token = _tower(clip)
        if pool not in ("argmax", "eos") or tower.attn_mask is None:
            seen = f"{pool!r} pooling" if tower.attn_mask is not None else "no causal mask"
            raise ModelError(
                f"The text tower has {seen}: expected a causal transformer read out at the "
                f"end-of-text token. {_ADVICE}"
            )
        return cls(
            tower,
            end_token=end_token if pool == "eos" else None,
            logit_scale=float(clip.logit_scale.detach().exp()),
        )

    @property
    def width(self) -> int:
        """W, the length of a token's embedding."""
        return int(self.token_embedding.weight.shape[1])

    @property
    def context_length(self) -> int:
        """The most positions a text may have."""
        return len(self.positional_embedding)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.positional_embedding.device

    def embed(self, tokens: Tensor) -> Tensor:
        """The word table's rows, without position: int64 [..., L] -> float32 [..., L, W]."""
        rows: Tensor = self.token_embedding(tokens.to(self.device))
        return rows

    def end_positions(self, tokens: Tensor) -> Tensor:
        """Where each tokenised text [C, L] ends: int64 [C], the place of its end-of-text token."""
        if self.end_token is None:  # the end-of-text token has the largest number
            return tokens.argmax(dim=1)
        return (tokens == self.end_token).int().argmax(dim=1)

    def forward(self, embeddings: Tensor, end: Tensor) -> Tensor:
        """Encode texts. Gradients reach the embeddings but not the weights.

        Attention only looks back, so positions after the end token change nothing: pass only as many
        as the longest text has. A prompt of 12 tokens costs a sixth of CLIP's 77.

        Args:
            embeddings: [C, L, W], as `embed` gives them; L at most `context_length`.
            end: int64 [C], the end token's position in each.

        Returns:
            float32 [C, D], unit rows; also under autocast.

        Raises:
            ModelError: embeddings of another width, or longer than the context.
        """
        length = embeddings.shape[1] if embeddings.ndim == 3 else 0
        if not 0 < length <= self.context_length or embeddings.shape[2] != self.width:
            raise ModelError(
                f"embeddings of shape {tuple(embeddings.shape)}: expected [C, L, {self.width}] "
                f"with L from 1 to {self.context_length}"
            )
        x = embeddings + self.positional_embedding[:length]
        x = self.transformer(x, attn_mask=self.attn_mask[:length, :length])
        rows = torch.arange(len(x), device=x.device)
        # The norm works on each position separately, so only the end token's needs it.
        x = self._project(self.ln_final(x[rows, end.to(x.device)]))
        return F.normalize(x.float(), dim=-1)

    def _project(self, x: Tensor) -> Tensor:
        if self.text_projection is None:
            return x
        if isinstance(self.text_projection, nn.Linear):
            projected: Tensor = self.text_projection(x)
            return projected
        return x @ self.text_projection


def _tower(clip: Any) -> tuple[Any, str, int | None]:
    """The module that holds the text tower, its pooling and its end-of-text token's number."""
    from open_clip import CLIP
    from open_clip.transformer import TextTransformer

    if isinstance(clip, CLIP):
        return clip, clip.text_pool_type, clip.text_eos_id
    tower = getattr(clip, "text", None)
    if not isinstance(tower, TextTransformer):
        raise ModelError(
            f"The text tower is a {type(tower).__name__}: expected open_clip's TextTransformer. "
            f"{_ADVICE}"
        )
    if tower.cls_emb is not None:
        raise ModelError(
            "The text tower reads out a class token after the text: expected the end-of-text "
            f"token. {_ADVICE}"
        )
    return tower, tower.pool_type, tower.eos_id
