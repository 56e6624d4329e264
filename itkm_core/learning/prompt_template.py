"""The sentence around the learnt words: "A photo of a [X]_1 ... [X]_M person." (docs/definition.md, "Stage II").

Shapes: C prompts of M learnt tokens, W the text transformer's width, L positions in all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from itkm_core.errors import ConfigError
from itkm_core.model.text_encoder import TextEncoder

PLACE = "{}"
_STAND_IN = "X"  # a word of one token, replaced by a learnt one


class PromptTemplate:
    """Embeddings of the words before and after the learnt ones; build it with `from_text`.

    Attributes:
        before: float32 [P, W], start of text included.
        after: float32 [Q, W], up to and with the end of text.
        num_tokens: M.
    """

    def __init__(self, before: Tensor, after: Tensor, num_tokens: int) -> None:
        self.before = before
        self.after = after
        self.num_tokens = num_tokens

    @classmethod
    def from_text(
        cls,
        encoder: TextEncoder,
        tokenizer: Callable[[Any], Tensor],
        text: str,
        num_tokens: int,
    ) -> PromptTemplate:
        """Tokenise a template with words in place of the learnt tokens.

        Args:
            encoder: whose word table and end-of-text token count; the template lives on its device.
            tokenizer: text -> int64 [1, context].
            text: with one `{}`, set apart by spaces.
            num_tokens: M, at least 1.

        Raises:
            ConfigError: no {} or several, one attached to a word, or a text that with M tokens is too long
                for the encoder's context.
        """
        problem = f"prompts.template {text!r} with {num_tokens} tokens"
        if text.count(PLACE) != 1 or num_tokens < 1:
            raise ConfigError(f"{problem}: expected one {PLACE} and at least one token")

        def tokens(words: str) -> list[int]:
            row = tokenizer(words)
            numbers: list[int] = row[0, : int(encoder.end_positions(row)[0]) + 1].tolist()
            return numbers

        stand_ins = " ".join([_STAND_IN] * num_tokens)

        opening = text.partition(PLACE)[0]
        plain, full = tokens(text.replace(PLACE, "")), tokens(text.replace(PLACE, stand_ins))
        first = len(tokens(opening)) - 1  # without its own end of text
        last = first + num_tokens
        if full[:first] + full[last:] != plain or len(set(full[first:last])) != 1:
            raise ConfigError(
                f"{problem} cannot be split into words before and after it: expected "
                f"{PLACE} set apart by spaces, and at most {encoder.context_length} tokens in all"
            )
        with torch.no_grad():
            embedded = encoder.embed(torch.tensor(full))
        return cls(embedded[:first].clone(), embedded[last:].clone(), num_tokens)

    @property
    def length(self) -> int:
        """L, positions of a prompt."""
        return len(self.before) + self.num_tokens + len(self.after)

    def fill(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Put learnt tokens [C, M, W] in place: embeddings [C, L, W] and their ends int64 [C]."""
        count = len(tokens)
        parts = [self.before.expand(count, -1, -1), tokens, self.after.expand(count, -1, -1)]
        return torch.cat(parts, dim=1), torch.full((count,), self.length - 1)
