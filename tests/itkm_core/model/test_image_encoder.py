"""The image encoder against open_clip's own features, and what the two additions to it do."""

from __future__ import annotations

import copy
from typing import Any

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.errors import ModelError
from itkm_core.model.clip import build_clip
from itkm_core.model.image_encoder import ImageEncoder
from itkm_core.model.positions import resize_positions

SQUARE: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 48,
        "patch_size": 8,
        "layers": 2,
        "width": 32,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
UNKNOWN = -1


def make_clip(**vision: Any) -> Any:
    config = copy.deepcopy(SQUARE)
    quick_gelu = vision.pop("quick_gelu", False)
    config["vision_cfg"].update(vision)
    torch.manual_seed(0)
    return open_clip.CLIP(**config, quick_gelu=quick_gelu).eval()


def make_encoder(clip: Any, **options: Any) -> ImageEncoder:
    options = {"num_scenarios": 3, "image_size": (48, 48), **options}
    return ImageEncoder.from_open_clip(clip, **options).eval()


def batch(num: int = 6, size: tuple[int, int] = (48, 48)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(num, 3, *size, generator=generator)
    groups = torch.arange(num) * 3 // 2 % 2
    return images, groups, torch.arange(num) % 3


@pytest.mark.parametrize(
    "vision",
    [
        {},
        {"quick_gelu": True},
        {"ls_init_value": 0.1, "no_ln_pre": True},
        {"final_ln_after_pool": True},
        {"scale_fc": True, "scale_attn": True},
    ],
)
@pytest.mark.parametrize("group", [0, 1])
def test_without_scenario_embedding_it_is_open_clip(vision: dict[str, Any], group: int) -> None:
    clip = make_clip(**vision)
    encoder = make_encoder(clip)
    assert encoder.scenario_embedding is not None
    torch.nn.init.zeros_(encoder.scenario_embedding)
    images, _, scenarios = batch()
    with torch.no_grad():
        features = encoder(images, torch.full((6,), group), scenarios)
        expected = clip.encode_image(images, normalize=True)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(6))


def test_the_embedded_model_is_open_clip_at_its_own_size() -> None:
    torch.manual_seed(0)
    clip = build_clip("itkm-tiny").eval()
    encoder = make_encoder(clip, image_size=(64, 32), scenario_embedding=False)
    images, groups, scenarios = batch(size=(64, 32))
    with torch.no_grad():
        features = encoder(images, groups, scenarios)
        expected = clip.encode_image(images, normalize=True)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)


def test_at_another_size_it_is_open_clip_built_for_that_size() -> None:
    clip = make_clip()
    encoder = make_encoder(clip, image_size=(64, 32), scenario_embedding=False)
    config = copy.deepcopy(SQUARE)
    config["vision_cfg"]["image_size"] = (64, 32)
    other = open_clip.CLIP(**config).eval()
    state = clip.state_dict()
    open_clip.model.resize_pos_embed(state, other)
    other.load_state_dict(state)
    images, groups, scenarios = batch(size=(64, 32))
    with torch.no_grad():
        expected = other.encode_image(images, normalize=True)
        torch.testing.assert_close(encoder(images, groups, scenarios), expected, rtol=0, atol=1e-5)


def test_resizing_positions_keeps_the_class_token_and_an_unchanged_grid() -> None:
    positions = torch.randn(1 + 6 * 6, 4)
    resized = resize_positions(positions, (6, 6), (8, 4))
    assert resized.shape == (33, 4)
    torch.testing.assert_close(resized[0], positions[0], rtol=0, atol=0)
    assert resize_positions(positions, (6, 6), (6, 6)) is positions
    # A field that is linear along the rows stays one, but for the border.
    rows = torch.arange(6.0).repeat_interleave(6)[:, None]
    finer = resize_positions(torch.cat([rows[:1], rows]), (6, 6), (12, 6))[1:].reshape(12, 6)
    steps = finer[4:8].diff(dim=0)
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5), rtol=0, atol=1e-4)


@pytest.mark.parametrize("group", [0, 1])
def test_an_image_reaches_only_its_own_branch(group: int) -> None:
    encoder = make_encoder(make_clip())
    images, _, scenarios = batch()
    encoder(images, torch.full((6,), group), scenarios)[:, 0].sum().backward()
    gradients = [branch.weight.grad for branch in encoder.patch_embeddings]
    assert gradients[group] is not None
    assert gradients[group].abs().sum() > 0
    other = gradients[1 - group]
    assert other is not None, "DistributedDataParallel needs every parameter in the graph"
    assert other.abs().sum() == 0


def test_a_mixed_batch_is_its_images_one_by_one() -> None:
    encoder = make_encoder(make_clip())
    with torch.no_grad():  # otherwise both branches are the same
        encoder.patch_embeddings[1].weight.mul_(-0.5)
    images, groups, _ = batch()
    scenarios = torch.tensor([0, 1, UNKNOWN, 2, UNKNOWN, 1])
    with torch.no_grad():
        together = encoder(images, groups, scenarios)
        alone = torch.cat(
            [encoder(images[i : i + 1], groups[i : i + 1], scenarios[i : i + 1]) for i in range(6)]
        )
        swapped = encoder(images, 1 - groups, scenarios)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert (together - swapped).abs().max() > 1e-2


def naive_features(encoder: ImageEncoder, image: Tensor, group: int, shift: Tensor) -> Tensor:
    patches = encoder.patch_embeddings[group](image[None])[0].flatten(1).T
    tokens = torch.cat([encoder.class_embedding[None], patches])
    tokens = tokens + encoder.positional_embedding + shift
    tokens = encoder.transformer(encoder.ln_pre(tokens)[None])[0]
    feature = encoder.ln_post(tokens)[0] @ encoder.proj
    return feature / feature.norm()


def test_scenario_embedding_is_added_to_every_token_and_unknown_is_the_mean() -> None:
    encoder = make_encoder(make_clip(), scenario_scale=0.7)
    table = encoder.scenario_embedding
    assert table is not None
    torch.nn.init.normal_(table)
    images, groups, _ = batch(4)
    scenarios = torch.tensor([2, 0, UNKNOWN, 1])
    shifts = [table[2], table[0], table.mean(0), table[1]]
    with torch.no_grad():
        features = encoder(images, groups, scenarios)
        for i, shift in enumerate(shifts):
            expected = naive_features(encoder, images[i], int(groups[i]), 0.7 * shift)
            torch.testing.assert_close(features[i], expected, rtol=0, atol=1e-5)


def test_unknown_scenario_teaches_all_rows_alike() -> None:
    encoder = make_encoder(make_clip())
    images, groups, _ = batch()
    encoder(images, groups, torch.full((6,), UNKNOWN))[:, 0].sum().backward()
    assert encoder.scenario_embedding is not None
    gradient = encoder.scenario_embedding.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    torch.testing.assert_close(gradient, gradient[:1].expand_as(gradient))


def test_scenario_embedding_starts_small_and_by_seed() -> None:
    clip = make_clip(width=512, head_width=256)
    first, again, other = (
        make_encoder(clip, num_scenarios=8, seed=seed).scenario_embedding for seed in (1, 1, 2)
    )
    assert first is not None
    assert again is not None
    assert other is not None
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
    assert abs(first.std().item() - 0.02) < 0.002
    assert abs(first.mean().item()) < 0.002


def test_without_scenario_embedding_there_is_no_parameter() -> None:
    encoder = make_encoder(make_clip(), scenario_embedding=False)
    assert encoder.scenario_embedding is None
    assert not [name for name, _ in encoder.named_parameters() if "scenario" in name]


def test_the_encoder_is_a_copy() -> None:
    clip = make_clip()
    before = clip.visual.conv1.weight.detach().clone()
    encoder = make_encoder(clip)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(clip.visual.conv1.weight, before, rtol=0, atol=0)
    assert encoder.patch_embeddings[0].weight is not encoder.patch_embeddings[1].weight


def test_checkpointing_activations_changes_neither_features_nor_gradients() -> None:
    encoder = make_encoder(make_clip()).train()
    images, groups, scenarios = batch()
    results = []
    for enabled in (False, True):
        encoder.checkpoint_activations(enabled)
        encoder.zero_grad()
        features = encoder(images, groups, scenarios)
        features[:, 0].sum().backward()
        gradients = [p.grad.clone() for p in encoder.parameters() if p.grad is not None]
        results.append((features.detach(), gradients))
    torch.testing.assert_close(results[0], results[1])


def test_autocast_still_returns_float32_unit_rows() -> None:
    encoder = make_encoder(make_clip())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = encoder(*batch())
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(6), rtol=0, atol=1e-5)


def test_an_empty_batch_is_empty() -> None:
    encoder = make_encoder(make_clip())
    with torch.no_grad():
        nothing = encoder(torch.zeros(0, 3, 48, 48), torch.zeros(0).long(), torch.zeros(0).long())
    assert nothing.shape == (0, 16)


@pytest.mark.parametrize(
    ("groups", "scenarios", "size", "message"),
    [
        ([0, 2], [0, 0], (48, 48), "expected 0 or 1"),
        ([0, -1], [0, 0], (48, 48), "expected 0 or 1"),
        ([0, 1], [0, 3], (48, 48), "scenarios run from 0 to 3"),
        ([0, 1], [-2, 0], (48, 48), "scenarios run from -2"),
        ([0, 1], [0, 0], (48, 40), "expected .B, 3, 48, 48."),
        ([0, 1, 1], [0, 0, 0], (48, 48), "3 groups"),
    ],
)
def test_wrong_batches(
    groups: list[int], scenarios: list[int], size: tuple[int, int], message: str
) -> None:
    encoder = make_encoder(make_clip())
    with pytest.raises(ModelError, match=message):
        encoder(torch.zeros(2, 3, *size), torch.tensor(groups), torch.tensor(scenarios))


@pytest.mark.parametrize(
    ("vision", "message"),
    [
        ({"layers": [1, 1, 1, 1], "width": 16, "image_size": 32}, "ModifiedResNet"),
        ({"attentional_pool": True, "attn_pooler_heads": 4}, "attentional pooling"),
        ({"pool_type": "avg"}, "'avg' pooling"),
    ],
)
def test_towers_that_do_not_serve(vision: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_encoder(make_clip(**vision))


@pytest.mark.parametrize(("size", "nearest"), [((50, 48), "48, 48"), ((4, 48), "8, 48")])
def test_sizes_that_are_no_multiple_of_the_patch(size: tuple[int, int], nearest: str) -> None:
    with pytest.raises(ModelError, match=f"multiple.*{nearest}"):
        make_encoder(make_clip(), image_size=size)


def test_no_scenario() -> None:
    with pytest.raises(ModelError, match="num_scenarios"):
        make_encoder(make_clip(), num_scenarios=0)


@pytest.mark.parametrize(
    ("name", "size", "dimension"),
    [("ViT-B-16-quickgelu", (256, 128), 512), ("ViT-L-14", (252, 126), 768)],
)
def test_the_real_architectures_build_and_run(
    name: str, size: tuple[int, int], dimension: int
) -> None:
    with torch.device("meta"):  # numbers are filled in below, faster than open_clip draws its own
        encoder = ImageEncoder.from_open_clip(build_clip(name), num_scenarios=3, image_size=size)
    encoder = encoder.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.uniform_(-0.05, 0.05, generator=generator)
        features = encoder(*batch(2, size))
    assert features.shape == (2, dimension)
    assert encoder.dimension == dimension
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


@pytest.mark.gpu
def test_gpu_agrees_with_cpu() -> None:
    assert torch.cuda.is_available(), "a test marked gpu needs a CUDA device"
    encoder = make_encoder(make_clip())
    images, groups, scenarios = batch()
    with torch.no_grad():
        expected = encoder(images, groups, scenarios)
        encoder.cuda()
        on_gpu = encoder(images.cuda(), groups, scenarios).cpu()
        all_on_gpu = encoder(images.cuda(), groups.cuda(), scenarios.cuda()).cpu()
        with torch.autocast("cuda", torch.bfloat16):
            half = encoder(images.cuda(), groups, scenarios).cpu()
    torch.testing.assert_close(on_gpu, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(all_on_gpu, on_gpu, rtol=0, atol=0)
    assert F.cosine_similarity(half, expected).min() > 0.999
