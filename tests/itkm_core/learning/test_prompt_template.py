"""The sentence around the learnt words, against the tokens of the whole sentence."""

from __future__ import annotations

import pytest
import torch
from open_clip import SimpleTokenizer

from itkm_core.errors import ConfigError
from itkm_core.learning.config import PromptConfig
from itkm_core.learning.prompt_template import PromptTemplate
from itkm_core.model.text_encoder import TextEncoder
from itkm_core.model.tiny import build_tiny_clip

TEXT = PromptConfig().template
tokenizer = SimpleTokenizer()


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder.from_open_clip(build_tiny_clip())


@pytest.mark.parametrize("text", [TEXT, "{} , seen from behind", "someone {}"])
def test_words_in_the_place_give_the_sentence(encoder: TextEncoder, text: str) -> None:
    words = "tall red old man"
    sentence = tokenizer(text.replace("{}", words))
    tokens = encoder.embed(tokenizer(words)[:, 1:5])
    template = PromptTemplate.from_text(encoder, tokenizer, text, 4)
    embeddings, end = template.fill(tokens)
    length = int(sentence.argmax()) + 1
    assert template.length == length
    assert end.tolist() == [length - 1]
    assert torch.equal(embeddings, encoder.embed(sentence[:, :length]))
    expected = encoder(encoder.embed(sentence), encoder.end_positions(sentence))
    torch.testing.assert_close(encoder(embeddings, end), expected, rtol=0, atol=1e-5)


def test_the_methods_template_is_short(encoder: TextEncoder) -> None:
    template = PromptTemplate.from_text(encoder, tokenizer, TEXT, 4)
    assert template.length == 12  # start, a photo of a, 4, person . and end
    embeddings, end = template.fill(torch.zeros(0, 4, 64))
    assert embeddings.shape == (0, 12, 64)
    assert end.shape == (0,)


def test_a_prompt_as_long_as_the_context(encoder: TextEncoder) -> None:
    assert PromptTemplate.from_text(encoder, tokenizer, TEXT, 69).length == 77
    with pytest.raises(ConfigError, match="at most 77"):
        PromptTemplate.from_text(encoder, tokenizer, TEXT, 70)


@pytest.mark.parametrize(
    ("text", "tokens", "message"),
    [
        ("a person", 4, "one {}"),
        ("{} and {}", 4, "one {}"),
        (TEXT, 0, "at least one token"),
        ("a{}person", 4, "set apart by spaces"),
        ("very " * 90 + "{}", 4, "at most 77"),
    ],
)
def test_templates_that_cannot_be_used(
    encoder: TextEncoder, text: str, tokens: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        PromptTemplate.from_text(encoder, tokenizer, text, tokens)
