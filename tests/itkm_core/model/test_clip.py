"""Loading a CLIP: names, tags, files, QuickGELU, and every way it can fail. No test needs network."""

from __future__ import annotations

import copy
import json
import threading
import time
import urllib.error
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file

from itkm_core.errors import ItkmWarning, ModelError
from itkm_core.model import clip as clip_module
from itkm_core.model import pretrained
from itkm_core.model.clip import build_clip, load_clip
from itkm_core.model.tiny import TINY_MEAN, TINY_STD, build_tiny_clip

SMALL: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "patch_size": 8,
        "layers": 2,
        "width": 32,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}
TAG = {
    "hf_hub": "somebody/small/",
    "url": "",
    "mean": (0.4, 0.5, 0.6),
    "std": (0.1, 0.2, 0.3),
    "quick_gelu": True,
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """open_clip knows a small model with one tag; the hub cache is empty; returns its weights."""
    quick = {**copy.deepcopy(SMALL), "quick_gelu": True}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small", SMALL)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "small-quickgelu", quick)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small", {"openai": TAG})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    torch.manual_seed(0)
    path = tmp_path / "weights" / "small.safetensors"
    path.parent.mkdir()
    state = open_clip.CLIP(**copy.deepcopy(SMALL)).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a download was started without network")

    monkeypatch.setattr(pretrained.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(open_clip, "download_pretrained", never)


def put_into_hub_cache(weights: Path, cache: Path) -> None:
    repository = cache / "models--somebody--small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    target = repository / "snapshots" / ("0" * 40) / "open_clip_model.safetensors"
    target.write_bytes(weights.read_bytes())


def is_quick(model: Any) -> bool:
    return isinstance(model.visual.transformer.resblocks[0].mlp.gelu, QuickGELU)


def twin_features(weights: Path, images: torch.Tensor, quick_gelu: bool) -> torch.Tensor:
    model = open_clip.CLIP(**copy.deepcopy(SMALL), quick_gelu=quick_gelu)
    open_clip.load_checkpoint(model, str(weights))
    return model.eval().encode_image(images)


def test_tag_in_the_cache_needs_no_network_and_gets_quickgelu(
    small: Path, offline: None, tmp_path: Path
) -> None:
    put_into_hub_cache(small, tmp_path / "hub")
    loaded = load_clip("small", "openai")
    images = torch.randn(2, 3, 32, 32)
    assert loaded.quick_gelu
    assert is_quick(loaded.model)
    assert not loaded.model.training
    assert (loaded.mean, loaded.std) == (TAG["mean"], TAG["std"])
    assert loaded.native_size == (32, 32)
    with torch.no_grad():
        features = loaded.model.encode_image(images)
        torch.testing.assert_close(features, twin_features(small, images, True), rtol=0, atol=0)
        assert not torch.allclose(features, twin_features(small, images, False), atol=1e-4)


def test_the_real_openai_tag_gets_quickgelu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_cached", lambda config: Path("nowhere"))
    monkeypatch.setattr(clip_module, "_load_into", lambda *_: None)
    loaded = load_clip("ViT-B-16", "openai")
    assert is_quick(loaded.model)
    assert loaded.mean == open_clip.OPENAI_DATASET_MEAN
    assert loaded.native_size == (224, 224)
    assert loaded.tokenizer(["a person"]).shape == (1, 77)


@pytest.mark.parametrize(("name", "quick"), [("small", False), ("small-quickgelu", True)])
def test_a_lone_local_file_takes_its_activation_from_the_name(
    small: Path, name: str, quick: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_clip(name, str(small))
    assert loaded.quick_gelu is quick
    assert is_quick(loaded.model) is quick
    assert loaded.mean == open_clip.OPENAI_DATASET_MEAN


def test_a_configuration_beside_a_local_file_decides(small: Path) -> None:
    config = {
        "model_cfg": {"quick_gelu": True},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]},
    }
    (small.parent / "open_clip_config.json").write_text(json.dumps(config))
    loaded = load_clip("small", str(small))
    assert is_quick(loaded.model)
    assert loaded.mean == (0.1, 0.2, 0.3)


def test_a_lone_file_of_openai_under_a_plain_name_warns(small: Path) -> None:
    path = small.rename(small.with_name("vit.openai.safetensors"))
    with pytest.warns(UserWarning, match="QuickGELU"):
        load_clip("small", str(path))


def test_pt_files_are_read_as_tensors_only(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_clip.CLIP(**copy.deepcopy(SMALL)).state_dict()
    torch.save({"state_dict": state}, tmp_path / "small.pt")
    read, asked = torch.load, []

    def load(*args: Any, **options: Any) -> Any:
        asked.append(options.get("weights_only"))
        return read(*args, **options)

    monkeypatch.setattr(torch, "load", load)
    with pytest.warns(ItkmWarning, match="under state_dict$"):
        loaded = load_clip("small", str(tmp_path / "small.pt")).model.state_dict()
    assert asked == [True]
    assert set(loaded) == set(state)
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


class Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (Path.touch, (self.target,))


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(small: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save({"state_dict": Attack(trace)}, tmp_path / "attack.pt")
    with pytest.raises(ModelError, match="cannot be read"):
        load_clip("small", str(tmp_path / "attack.pt"))
    assert not trace.exists()


def test_torchscript_is_refused_and_says_what_to_use(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-16.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    with pytest.raises(ModelError, match=r"TorchScript.*open_clip_model\.safetensors"):
        load_clip("small", str(path))


def test_tiny_from_a_half_precision_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    model = build_tiny_clip()
    path = tmp_path / "itkm-tiny.safetensors"
    save_file({name: value.half().contiguous() for name, value in model.state_dict().items()}, path)
    monkeypatch.setattr(pretrained, "EMBEDDED_WEIGHTS", path)
    loaded = load_clip("itkm-tiny")
    assert loaded.native_size == (64, 32)
    assert (loaded.mean, loaded.std) == (TINY_MEAN, TINY_STD)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded.model.visual.proj, model.visual.proj.half().float())
    assert loaded.tokenizer("a person in a red coat").shape == (1, 77)
    again = load_clip("itkm-tiny", str(path))
    torch.testing.assert_close(again.model.visual.proj, loaded.model.visual.proj)


def test_missing_embedded_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "EMBEDDED_WEIGHTS", tmp_path / "absent.safetensors")
    with pytest.raises(ModelError, match=r"absent\.safetensors.*train_tiny"):
        load_clip("itkm-tiny")


def test_without_network_it_says_what_to_fetch_and_does_not_wait(
    small: Path, offline: None
) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError) as caught:
        load_clip("small", "openai")
    assert time.monotonic() - started < 5
    message = str(caught.value)
    for part in ("somebody/small", "open_clip_model.safetensors", "hub", "model.pretrained"):
        assert part in message
    assert "small-quickgelu" in message


def test_a_tag_with_a_plain_address(
    small: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = {**TAG, "hf_hub": "", "url": "https://example.org/small.pt"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small", {"plain": tag})
    with pytest.raises(ModelError, match=r"example\.org/small\.pt.*\.cache/clip"):
        load_clip("small", "plain")


def test_offline_by_choice(small: Path, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        load_clip("small", "openai")


def test_a_download_that_fails(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("connection reset")

    monkeypatch.setattr(pretrained, "_unreachable", lambda server: None)
    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(ModelError, match="connection reset"):
        load_clip("small", "openai")


def test_the_workers_of_a_machine_fetch_weights_once(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Locks count by open file, so threads do as processes would."""
    fetched, all_asked = [], threading.Barrier(4)

    def fetch(_: object) -> str:
        time.sleep(0.2)  # the others are at the lock by now
        fetched.append(put_into_hub_cache(small, tmp_path / "hub"))
        return str(small)

    def answers(server: str) -> None:
        all_asked.wait(timeout=60)  # none of them found the weights in the cache

    monkeypatch.setattr(pretrained, "_unreachable", answers)
    monkeypatch.setattr(open_clip, "download_pretrained", fetch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: pretrained.tag_weights("small", "openai").path, range(4)))
    assert len(fetched) == 1
    assert len(set(found) - {small}) == 1


@pytest.mark.parametrize(
    ("name", "pretrained_value", "message"),
    [
        ("ViT-B16", "openai", "ViT-B-16"),
        ("ViT-B-16", None, "tags: openai"),
        ("ViT-B-16", "opnai", "neither a file nor a tag.*openai"),
        ("ViT-B-16", "/not/here.safetensors", "no such file"),
        ("itkm-tiny", "openai", "Leave model.pretrained out"),
    ],
)
def test_wrong_names(name: str, pretrained_value: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_clip(name, pretrained_value)


def test_a_file_of_another_kind(small: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"x")
    with pytest.raises(ModelError, match="npz"):
        load_clip("small", str(tmp_path / "weights.npz"))


def test_weights_of_another_model(small: Path) -> None:
    with pytest.raises(ModelError, match=r"do not fit model\.name 'itkm-tiny'"):
        load_clip("itkm-tiny", str(small))


def test_damaged_weights(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_clip("small", str(small))


def test_building_leaves_the_global_generator_alone(small: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build_clip("small")
    build_clip("itkm-tiny")
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
