"""An image encoder as one safetensors file that describes itself; using it needs no CLIP file."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from itkm_core.errors import ModelError, shortened
from itkm_core.model.checkpoint import mismatch
from itkm_core.model.clip import LoadedClip, build_clip
from itkm_core.model.image_encoder import ImageEncoder

ENCODER_SCHEMA_VERSION = 1
_METADATA_KEY = "itkm_encoder"


@dataclass(frozen=True)
class EncoderInfo:
    """What is stored with an encoder's weights.

    Attributes:
        model_name: the CLIP architecture, as `load_clip` takes it.
        quick_gelu: whether its activations are OpenAI's QuickGELU.
        image_size: (height, width) in pixels.
        scenarios: names, in the order of the scenario embedding's rows.
        mean, std: per RGB channel in [0, 1]; a picture enters as (x - mean) / std.
        scenario_embedding: whether the encoder has one.
        scenario_scale: alpha, the factor on it.
        schema_version: of this record.
    """

    model_name: str
    quick_gelu: bool
    image_size: tuple[int, int]
    scenarios: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scenario_embedding: bool = True
    scenario_scale: float = 1.0
    schema_version: int = ENCODER_SCHEMA_VERSION


def make_encoder(
    clip: LoadedClip,
    scenarios: Sequence[str],
    *,
    image_size: tuple[int, int] = (256, 128),
    scenario_embedding: bool = True,
    scenario_scale: float = 1.0,
    seed: int = 0,
) -> tuple[ImageEncoder, EncoderInfo]:
    """A fresh encoder from a loaded CLIP, with the record to save with it.

    Args:
        clip: see `load_clip`.
        scenarios: names; their order is the order of the scenario indices.
        image_size, scenario_embedding, scenario_scale, seed: see `ImageEncoder.from_open_clip`.

    Raises:
        ModelError: the image tower or the image size cannot be used.
    """
    encoder = ImageEncoder.from_open_clip(
        clip.model,
        num_scenarios=len(scenarios),
        image_size=image_size,
        scenario_embedding=scenario_embedding,
        scenario_scale=scenario_scale,
        seed=seed,
    )
    info = EncoderInfo(
        model_name=clip.name,
        quick_gelu=clip.quick_gelu,
        image_size=encoder.image_size,
        scenarios=tuple(scenarios),
        mean=clip.mean,
        std=clip.std,
        scenario_embedding=scenario_embedding,
        scenario_scale=scenario_scale,
    )
    return encoder, info


def encoder_bytes(encoder: ImageEncoder, info: EncoderInfo) -> bytes:
    """The encoder's weights and record as a safetensors file; the same encoder, the same bytes."""
    state = {
        name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()
    }
    record = json.dumps(dataclasses.asdict(info), sort_keys=True)
    return save_safetensors(state, metadata={_METADATA_KEY: record})


def read_info(source: bytes | str | Path) -> EncoderInfo:
    """The record of a saved encoder.

    Args:
        source: the file's bytes, or its path.

    Raises:
        ModelError: no such file, or not an encoder that this version reads.
    """
    return _parse_info(_read(source), _name(source))


def load_encoder(
    source: bytes | str | Path,
    *,
    expect: EncoderInfo | None = None,
    device: str | torch.device = "cpu",
) -> tuple[ImageEncoder, EncoderInfo]:
    """Build the encoder a file describes and fill it; the pre-trained CLIP is not needed.

    Args:
        source: the file's bytes, or its path.
        expect: what the file must have been saved as, if given.
        device: where the encoder goes.

    Returns:
        The encoder in evaluation mode, float32, and its record.

    Raises:
        ModelError: no such file, not an encoder, not the expected one, or weights that do not fit
            their record.
    """
    data, name = _read(source), _name(source)
    info = _parse_info(data, name)
    if expect is not None:
        _refuse_mismatch(info, expect, name)
    # On the meta device nothing is allocated or initialised: every number comes from the file.
    with torch.device("meta"):
        encoder = ImageEncoder.from_open_clip(
            build_clip(info.model_name, quick_gelu=info.quick_gelu),
            num_scenarios=len(info.scenarios),
            image_size=info.image_size,
            scenario_embedding=info.scenario_embedding,
            scenario_scale=info.scenario_scale,
        )
    try:
        state = {key: value.float() for key, value in load_safetensors(data).items()}
        said = mismatch(state, encoder.state_dict())
    except Exception as error:  # noqa: BLE001 - safetensors raises types of its own
        said = shortened(error)
    if said:
        raise ModelError(
            f"{name}: the weights do not fit the encoder they are recorded as ({info.model_name}, "
            f"image size {info.image_size}): {said}. Save it again"
        )
    encoder.load_state_dict(state, strict=True, assign=True)
    return encoder.to(device).eval(), info


def _refuse_mismatch(found: EncoderInfo, expected: EncoderInfo, name: str) -> None:
    differences = [
        f"{field.name} is {getattr(found, field.name)!r}, "
        f"expected {getattr(expected, field.name)!r}"
        for field in dataclasses.fields(EncoderInfo)
        if getattr(found, field.name) != getattr(expected, field.name)
    ]
    if differences:
        raise ModelError(
            f"{name} holds another encoder: {'; '.join(differences)}. Change the configuration to "
            "match it, or start from other weights"
        )


def _name(source: bytes | str | Path) -> str:
    return "encoder weights" if isinstance(source, bytes) else str(source)


def _read(source: bytes | str | Path) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: encoder weights cannot be read: {error.strerror}") from error


def _parse_info(data: bytes, name: str) -> EncoderInfo:
    """Read the record from safetensors' header: 8 bytes of length, then JSON."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header: dict[str, Any] = json.loads(data[8 : 8 + length])
        record = json.loads(header["__metadata__"][_METADATA_KEY])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{name} is not an image encoder saved by itkm: expected safetensors with an "
            f"{_METADATA_KEY!r} record"
        ) from error
    version = record.get("schema_version")
    fields = {field.name for field in dataclasses.fields(EncoderInfo)}
    if version != ENCODER_SCHEMA_VERSION or set(record) != fields:
        raise ModelError(
            f"{name} has encoder schema version {version}: this itkm reads version "
            f"{ENCODER_SCHEMA_VERSION}"
        )
    lists = ("image_size", "scenarios", "mean", "std")
    values: dict[str, Any] = {
        key: tuple(value) if key in lists else value for key, value in record.items()
    }
    return EncoderInfo(**values)
