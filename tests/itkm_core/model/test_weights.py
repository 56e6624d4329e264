"""Saving an encoder and building it again from nothing but its file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from itkm_core.errors import ModelError
from itkm_core.model import pretrained
from itkm_core.model.clip import LoadedClip, build_clip
from itkm_core.model.image_encoder import ImageEncoder
from itkm_core.model.weights import (
    EncoderInfo,
    encoder_bytes,
    load_encoder,
    make_encoder,
    read_info,
)

BATCH = (torch.linspace(-2, 2, 3 * 3 * 64 * 32).reshape(3, 3, 64, 32), torch.tensor([0, 1, 1]))
SCENARIOS = torch.tensor([0, -1, 1])


def tiny(**options: Any) -> tuple[ImageEncoder, EncoderInfo]:
    torch.manual_seed(0)
    loaded = LoadedClip(
        model=build_clip("itkm-tiny").eval(),
        tokenizer=lambda text: torch.zeros(1),
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        native_size=(64, 32),
        name="itkm-tiny",
        pretrained=None,
        quick_gelu=False,
    )
    encoder, info = make_encoder(loaded, ["day", "night"], image_size=(64, 32), **options)
    with torch.no_grad():
        encoder.patch_embeddings[1].weight.add_(0.01)  # as if trained
    return encoder.eval(), info


@pytest.mark.parametrize("embedding", [True, False])
def test_round_trip(embedding: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "EMBEDDED_WEIGHTS", tmp_path / "not needed")
    encoder, info = tiny(scenario_embedding=embedding, scenario_scale=0.5)
    data = encoder_bytes(encoder, info)
    assert data == encoder_bytes(encoder, info)
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        again, read = load_encoder(source, expect=info)
        assert read == info
        assert not again.training
        assert all(parameter.requires_grad for parameter in again.parameters())
        with torch.no_grad():
            torch.testing.assert_close(
                again(*BATCH, SCENARIOS), encoder(*BATCH, SCENARIOS), rtol=0, atol=0
            )
    assert read_info(path) == info
    assert info.mean == (0.1, 0.2, 0.3)


def test_loading_leaves_the_global_generator_alone_and_can_train() -> None:
    encoder, info = tiny()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    again, _ = load_encoder(encoder_bytes(encoder, info))
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)
    again.train()(*BATCH, SCENARIOS)[:, 0].sum().backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_name", "ViT-B-16"),
        ("quick_gelu", True),
        ("image_size", (128, 64)),
        ("scenarios", ("night", "day")),
        ("scenario_embedding", False),
    ],
)
def test_another_encoder_than_expected(field: str, value: object) -> None:
    encoder, info = tiny()
    expected = dataclasses.replace(info, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=f"holds another encoder: {field} is"):
        load_encoder(encoder_bytes(encoder, info), expect=expected)


def rewritten(data: bytes, record: dict[str, Any], drop: str = "") -> bytes:
    state = {name: value for name, value in load(data).items() if name != drop}
    return save(state, metadata={"itkm_encoder": json.dumps(record)})


def test_files_that_are_no_encoder(tmp_path: Path) -> None:
    encoder, info = tiny()
    data = encoder_bytes(encoder, info)
    record = dataclasses.asdict(info)
    cases = {
        "not an image encoder": [b"", b"short", b"x" * 100, save({"a": torch.zeros(2)})],
        "schema version 2": [rewritten(data, {**record, "schema_version": 2})],
        "schema version 1": [rewritten(data, {**record, "surplus": 1})],
        "do not fit": [
            data[:-50],
            rewritten(data, record, drop="proj"),
            rewritten(data, {**record, "scenarios": ["one"]}),
        ],
        "not a known CLIP": [rewritten(data, {**record, "model_name": "ViT-Z-1"})],
    }
    for message, broken in cases.items():
        for source in broken:
            with pytest.raises(ModelError, match=message):
                load_encoder(source)
    with pytest.raises(ModelError, match=r"gone\.safetensors: encoder weights cannot be read"):
        load_encoder(tmp_path / "gone.safetensors")
