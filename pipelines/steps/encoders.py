"""Where a step's encoder comes from: open CLIP weights at first, then a round's checkpoint."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from pipelines.config import ModelConfig

if TYPE_CHECKING:
    import torch

    from itkm_core.model.image_encoder import ImageEncoder
    from itkm_core.model.weights import EncoderInfo

WEIGHTS = "model.safetensors"
CPU_BF16 = ("avx512_bf16", "amx_tile")  # what `torch.cpu.get_capabilities` calls it


@dataclass(frozen=True)
class EncoderSource:
    """A recipe for an encoder that any process can follow.

    `checkpoint` is a trained round's folder; None means CLIP as it was pre-trained, with a fresh scenario
    embedding unless that is off. `text`: the CLIP's text encoder is needed later, so its weights must be there.
    """

    model: ModelConfig
    scenarios: tuple[str, ...]
    seed: int
    checkpoint: Place | None = None
    scenario_embedding: bool = True
    text: bool = False

    def load(self, device: torch.device | str = "cpu") -> tuple[ImageEncoder, EncoderInfo]:
        """The encoder on `device` and its record. The same source gives the same weights anywhere."""
        from itkm_core.model.clip import load_clip
        from itkm_core.model.weights import load_encoder, make_encoder

        if self.checkpoint is not None:
            return load_encoder((self.checkpoint / WEIGHTS).read_bytes(), device=device)
        encoder, info = make_encoder(
            load_clip(self.model.name, self.model.pretrained, text=self.text),
            self.scenarios,
            image_size=self.model.image_size,
            scenario_embedding=self.scenario_embedding,
            scenario_scale=self.model.scenario_scale,
            seed=self.seed,
        )
        return encoder.to(device), info


def autocast(precision: str, device: torch.device) -> Any:
    """A context for forward passes: bf16 if `precision` asks for it and the device has it, else nothing.

    Raises:
        ConfigError: `bf16` is asked for and the device has no bf16 arithmetic.
    """
    import torch

    able = _has_bf16(device)
    if precision == "bf16" and not able:
        raise ConfigError(
            f"precision: bf16, but {device.type} here has no bf16 arithmetic; use auto or fp32"
        )
    if precision == "fp32" or not able:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def _has_bf16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in CPU_BF16)
