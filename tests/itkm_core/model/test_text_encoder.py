"""The frozen text encoder against open_clip's own text tower."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch

from itkm_core.errors import ModelError
from itkm_core.model.text_encoder import TextEncoder
from itkm_core.model.tiny import build_tiny_clip

CAPTIONS = ["a red hat.", "A photo of a tall person in a long blue coat, seen from behind.", "hi"]
VISION: dict[str, Any] = {
    "image_size": 8,
    "patch_size": 4,
    "layers": 1,
    "width": 16,
    "head_width": 16,
}
TEXT: dict[str, Any] = {
    "context_length": 12,
    "vocab_size": 64,
    "width": 16,
    "heads": 2,
    "layers": 2,
}


@pytest.fixture(scope="module")
def clip() -> Any:
    torch.manual_seed(0)
    return build_tiny_clip().eval()


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return open_clip.SimpleTokenizer()(CAPTIONS)


def small(kind: Any = open_clip.CLIP, **text: Any) -> Any:
    torch.manual_seed(1)
    model = kind(embed_dim=8, vision_cfg=VISION, text_cfg={**TEXT, **text}).eval()
    for name, parameter in model.named_parameters():
        if "bias" in name:  # zero at first, which would hide one left out
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("length", [77, 20])
def test_ordinary_tokens_give_the_models_own_text(
    clip: Any, tokens: torch.Tensor, length: int
) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    end = encoder.end_positions(tokens)
    assert end.tolist() == tokens.argmax(1).tolist()
    assert end.max() < 20
    with torch.no_grad():
        expected = clip.encode_text(tokens, normalize=True)
        found = encoder(encoder.embed(tokens[:, :length]), end)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_positions_behind_the_end_change_nothing_and_those_before_do(clip: Any) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    torch.manual_seed(2)
    embeddings = torch.randn(3, 10, encoder.width)
    end = torch.tensor([9, 4, 0])
    found = encoder(embeddings, end)
    for row, last in enumerate(end.tolist()):
        alone = encoder(embeddings[row : row + 1, : last + 1], torch.tensor([last]))
        torch.testing.assert_close(alone, found[row : row + 1], rtol=0, atol=1e-5)
    moved = embeddings.clone()
    moved[:, 0, ::2] += 1
    assert (encoder(moved, end) - found).abs().amax(1).min() > 1e-3


def test_gradients_reach_embeddings_and_no_weight(clip: Any) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    embeddings = torch.randn(2, 5, encoder.width, requires_grad=True)
    encoder(embeddings, torch.tensor([3, 4]))[:, 0].sum().backward()
    assert embeddings.grad is not None
    assert (embeddings.grad.abs().sum(2) > 0).tolist() == [[True] * 4 + [False], [True] * 5]
    assert not any(p.requires_grad or p.grad is not None for p in encoder.parameters())
    assert all(p.requires_grad for p in clip.parameters())
    assert not encoder.training


def test_the_model_is_copied() -> None:
    clip = small()
    encoder = TextEncoder.from_open_clip(clip)
    embeddings, end = encoder.embed(torch.ones(1, 4, dtype=torch.int64)), torch.tensor([3])
    before = encoder(embeddings, end)
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.add_(1.0)
    assert torch.equal(encoder(embeddings, end), before)
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)
    assert (encoder.width, encoder.context_length) == (16, 12)


@pytest.mark.parametrize("kind", [open_clip.CLIP, open_clip.CustomTextCLIP])
@pytest.mark.parametrize("linear", [False, True])
def test_other_forms_of_the_tower(kind: Any, linear: bool) -> None:
    clip = small(kind, proj_bias=linear, pool_type="eos", eos_id=5)
    tokens = torch.tensor([[1, 2, 63, 5, 5, 0], [63, 5, 0, 0, 0, 0]])
    padded = torch.nn.functional.pad(tokens, (0, 6))
    encoder = TextEncoder.from_open_clip(clip)
    assert encoder.end_positions(tokens).tolist() == [3, 1]
    expected = clip.encode_text(padded, normalize=True)
    found = encoder(encoder.embed(tokens), encoder.end_positions(tokens))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_bf16_stays_near_and_returns_float32(clip: Any, tokens: torch.Tensor) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    embeddings, end = encoder.embed(tokens[:, :20]), encoder.end_positions(tokens)
    full = encoder(embeddings, end)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(embeddings, end)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.norm(dim=1), torch.ones(3))
    assert 0.99 < (half * full).sum(1).min() < 1 - 1e-7


def test_no_text_at_all(clip: Any) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    embeddings = torch.empty(0, 5, encoder.width, requires_grad=True)
    found = encoder(embeddings, torch.empty(0, dtype=torch.int64))
    assert found.shape == (0, 64)
    (gradient,) = torch.autograd.grad(found, embeddings, torch.empty(0, 64))
    assert gradient.shape == embeddings.shape


@pytest.mark.parametrize("shape", [(2, 78, 64), (2, 5, 32), (2, 64), (2, 0, 64)])
def test_embeddings_that_do_not_fit(clip: Any, shape: tuple[int, ...]) -> None:
    encoder = TextEncoder.from_open_clip(clip)
    with pytest.raises(ModelError, match="L from 1 to 77"):
        encoder(torch.zeros(shape), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"no_causal_mask": True}, "no causal mask"),
        ({"pool_type": "last"}, "'last' pooling"),
        ({"embed_cls": True}, "class token"),
    ],
)
def test_towers_that_cannot_be_used(text: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        TextEncoder.from_open_clip(small(open_clip.CustomTextCLIP, **text))
    with pytest.raises(ModelError, match="NoneType"):
        TextEncoder.from_open_clip(object())
