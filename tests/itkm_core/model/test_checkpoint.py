"""Weights in the shapes in which training code leaves them."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from itkm_core.errors import ItkmWarning, ModelError, shortened
from itkm_core.model.clip import build_clip, load_clip


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A tiny CLIP with weights that no other one has."""
    torch.manual_seed(7)
    return {
        name: torch.randn(each.shape) for name, each in build_clip("itkm-tiny").state_dict().items()
    }


def image_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("visual."): each
        for name, each in state.items()
        if name.startswith("visual.")
    }


def below(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: each for name, each in state.items()}


def within(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As after torch.compile of a part."""
    return {name.replace("visual.", "visual._orig_mod."): each for name, each in state.items()}


WHOLE: dict[str, Any] = {
    "module.": lambda s: below("module.", s),
    "_orig_mod.": lambda s: below("_orig_mod.", s),
    "module._orig_mod.": lambda s: below("module._orig_mod.", s),
    "_orig_mod.module.": lambda s: below("_orig_mod.module.", s),
    "model.": lambda s: below("model.", s),
    "module.clip.": lambda s: below("module.clip.", s),
    "visual._orig_mod.": within,
    "model": lambda s: {"model": s, "epoch": 3},
    "state_dict": lambda s: {"state_dict": s, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
    "model_state_dict": lambda s: {"model_state_dict": s, "scheduler": {"last_epoch": 2}},
    "state_dict / module.": lambda s: {"state_dict": below("module.", s)},
    "model / _orig_mod.": lambda s: {"model": below("_orig_mod.", s)},
    "model / state_dict / module.": lambda s: {"model": {"state_dict": below("module.", s)}},
    "state_dict / model.": lambda s: {"ema": {}, "state_dict": below("model.", s)},
}
IMAGES: dict[str, Any] = {
    "image_encoder.": lambda i: below("image_encoder.", i),
    "module.image_encoder.": lambda i: below("module.image_encoder.", i),
    "model / image_encoder.": lambda i: {"model": below("image_encoder.", i)},
    "state_dict / module._orig_mod.image_encoder.": lambda i: {
        "state_dict": below("module._orig_mod.image_encoder.", i)
    },
    "backbone.": lambda i: below("backbone.", i),
}


def saved(value: Any, folder: Path, name: str = "weights.pt") -> str:
    torch.save(value, folder / name)
    return str(folder / name)


@pytest.mark.parametrize("shape", WHOLE)
def test_a_whole_clip(shape: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(WHOLE[shape](state), tmp_path)
    with pytest.warns(ItkmWarning) as told:
        loaded = load_clip("itkm-tiny", path)
    assert str(told[0].message) == f"{path}: the weights found under {shape}"
    assert loaded.has_text
    assert all(torch.equal(each, state[name]) for name, each in loaded.model.state_dict().items())


@pytest.mark.parametrize("shape", IMAGES)
def test_an_image_encoder_alone(shape: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(IMAGES[shape](image_of(state)), tmp_path)
    with pytest.warns(ItkmWarning, match="the image encoder found under ") as told:
        loaded = load_clip("itkm-tiny", path, text=False)
    assert str(told[0].message).endswith(f"under {shape}")
    assert not loaded.has_text
    for name, each in loaded.model.visual.state_dict().items():
        assert torch.equal(each, state[f"visual.{name}"]), name
    with (
        pytest.raises(ModelError, match="holds the image encoder of itkm-tiny alone"),
        pytest.warns(ItkmWarning),
    ):
        load_clip("itkm-tiny", path)


def test_a_plain_state_dict_needs_no_word(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_clip("itkm-tiny", saved(state, tmp_path))
        load_clip("itkm-tiny", saved(below("visual.", image_of(state)), tmp_path), text=False)
    assert loaded.has_text


def test_safetensors_with_a_prefix(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(below("module.", state), path)
    with pytest.warns(ItkmWarning, match=r"under module\."):
        loaded = load_clip("itkm-tiny", str(path))
    assert torch.equal(loaded.model.visual.proj, state["visual.proj"])


def test_what_is_beside_the_clip_is_left_out_and_named(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    heads = {"classifier.weight": torch.ones(2, 2), "bottleneck.bias": torch.ones(2)}
    path = saved({"model": {**below("image_encoder.", image_of(state)), **heads}}, tmp_path)
    with pytest.warns(ItkmWarning, match=r"without classifier\.weight, bottleneck\.bias$"):
        load_clip("itkm-tiny", path, text=False)


def test_a_larger_model_is_not_cut_to_size(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    image = image_of(state)
    deeper = {**image, "transformer.resblocks.99.ln_1.weight": torch.ones(4)}
    path = saved(below("image_encoder.", deeper), tmp_path)
    with pytest.raises(
        ModelError, match=r"Unexpected keys \(1\): image_encoder\.transformer\.resblocks\.99\.ln_1"
    ):
        load_clip("itkm-tiny", path, text=False)


def test_the_cause_is_never_cut_off(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    names = list(state)
    fewer = {name: state[name] for name in names[:60]} | {"visual.surplus": torch.ones(1)}
    fewer["visual.proj"] = torch.ones(3, 3)
    with pytest.raises(ModelError) as caught:
        load_clip("itkm-tiny", saved({"model": fewer}, tmp_path))
    said = str(caught.value)
    assert f"Missing keys ({len(names) - 60} of {len(names)}): {names[60]}" in said
    assert "Unexpected keys (1): visual.surplus" in said
    assert "Other sizes (1): visual.proj is [3, 3], expected [" in said
    assert said.endswith("or model.pretrained to another file")
    assert "\n" not in said


def test_objects_beside_the_tensors_are_named(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = saved({"model": state, "args": argparse.Namespace(lr=1)}, tmp_path)
    with pytest.raises(
        ModelError, match=r"Unsupported global: .*\(argparse\.Namespace\)"
    ) as caught:
        load_clip("itkm-tiny", path)
    assert "weights_only" not in str(caught.value)  # no advice to switch it off
    assert "torch.save(model.state_dict(), path)" in str(caught.value)


def test_two_that_fit_equally_are_refused_unless_one_has_the_usual_name(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    other = {name: each + 1 for name, each in state.items()}
    with pytest.raises(ModelError, match="2 states that fit equally, under student, teacher"):
        load_clip("itkm-tiny", saved({"student": state, "teacher": other}, tmp_path))
    with pytest.warns(ItkmWarning, match="under model$"):
        loaded = load_clip("itkm-tiny", saved({"ema": other, "model": state}, tmp_path))
    assert torch.equal(loaded.model.visual.proj, state["visual.proj"])


def test_a_long_error_keeps_its_beginning_and_its_end() -> None:
    assert shortened("a \n b") == "a b"
    said = shortened("start " + "x" * 1000 + " end", 60)
    assert said.startswith("start x")
    assert said.endswith("x end")
    assert len(said) <= 66
