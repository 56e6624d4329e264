"""Load a pre-trained CLIP: the embedded one, an open_clip name with a tag, or a file on this disk.

Nothing in a weights file is ever executed: safetensors hold only arrays, and `.pt` files are read
with torch's `weights_only`. A model that cannot be loaded gives one `ModelError` within seconds that
says what to fetch and where to put it; the download libraries' own retries would take minutes on a
machine without network.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from itkm_core.errors import ItkmWarning, ModelError, shortened
from itkm_core.model.checkpoint import IMAGE, find_weights, mismatch
from itkm_core.model.pretrained import (
    Weights,
    embedded_weights,
    file_weights,
    tag_weights,
    weights_kind,
)
from itkm_core.model.tiny import TINY_CONFIG, TINY_MEAN, TINY_NAME, TINY_STD, build_tiny_clip

_UNPICKLE = (
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # makes torch read pickles with code in them by default
)
_OPEN_CLIP_READS = ("", "module.", "state_dict", "state_dict / module.")  # see `Found.where`


@dataclass(frozen=True)
class LoadedClip:
    """A CLIP in evaluation mode with what its inputs need.

    Attributes:
        model: the open_clip model, float32.
        tokenizer: captions (a string or a list) -> int64 [B, context_length].
        mean, std: per RGB channel in [0, 1]; a picture enters as (x - mean) / std.
        native_size: (height, width) in pixels the model was pre-trained at.
        name: the name the model was loaded by.
        pretrained: the tag or path its weights came from; None for the embedded model's own.
        quick_gelu: whether its activations are OpenAI's QuickGELU.
        has_text: whether the weights held the text encoder; if not, it is untrained.
    """

    model: Any
    tokenizer: Callable[[Any], torch.Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    native_size: tuple[int, int]
    name: str
    pretrained: str | None
    quick_gelu: bool
    has_text: bool = True


def load_clip(
    name: str,
    pretrained: str | None = None,
    *,
    device: str | torch.device = "cpu",
    text: bool = True,
) -> LoadedClip:
    """Load a CLIP by name.

    Args:
        name: `itkm-tiny` (embedded), or a name of `open_clip.list_models()`.
        pretrained: an open_clip tag of that model (`openai`, `laion2b_s34b_b88k`, ...), or the path
            of a .safetensors, .pt, .pth or .bin file with its weights. None only for `itkm-tiny`.
        device: where the model goes.
        text: False if the text encoder is not needed, and the file may hold the image encoder alone.

    A file may be a training's checkpoint (see `find_weights`); an ItkmWarning then says what was found in it.

    OpenAI's models were trained with QuickGELU. A tag implies it (`ViT-B-16` with `openai`), and
    so can an `open_clip_config.json` beside a local file; for a local file alone the name must say
    so: `ViT-B-16-quickgelu`.

    Raises:
        ModelError: unknown name or tag, weights that cannot be fetched or found, that do not fit
            the model, or that cannot be read without executing them.
    """
    check_name(name)
    weights = _find_weights(name, pretrained)
    quick_gelu = _quick_gelu(name, weights)
    model = build_clip(name, quick_gelu=quick_gelu)
    image_only = _load_into(model, weights, name)
    if text and image_only:
        raise ModelError(
            f"{weights.path} holds the image encoder of {name} alone, and this configuration needs the text encoder "
            "too: give the weights of the whole CLIP, or start from its tag"
        )
    size = model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return LoadedClip(
        model=model.to(device).eval(),
        tokenizer=_tokenizer(name),
        mean=weights.mean,
        std=weights.std,
        native_size=(int(height), int(width)),
        name=name,
        pretrained=pretrained,
        quick_gelu=quick_gelu,
        has_text=not image_only,
    )


def build_clip(name: str, *, quick_gelu: bool | None = None) -> Any:
    """Build the architecture of a name, untrained, leaving torch's global generator as it was.

    Args:
        name: `itkm-tiny` or a name of `open_clip.list_models()`.
        quick_gelu: overrides the activation that the name implies; None keeps it.

    Raises:
        ModelError: the name is unknown, or part of the model cannot be built here.
    """
    import open_clip

    check_name(name)
    with torch.random.fork_rng(devices=[]):
        if name == TINY_NAME:
            return build_tiny_clip()
        config = open_clip.get_model_config(name)
        if quick_gelu is not None:
            config["quick_gelu"] = quick_gelu
        foreign_text = "hf_model_name" in config["text_cfg"]
        if foreign_text:
            config["text_cfg"]["hf_model_pretrained"] = False
        custom_text = config.pop("custom_text", False) or foreign_text
        kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
        try:
            return (open_clip.CoCa if "multimodal_cfg" in config else kind)(**config)
        except Exception as error:  # open_clip raises whatever its optional libraries raise
            raise ModelError(
                f"model.name {name!r} cannot be built here: {error}. Models with text or image "
                "towers of other libraries need those installed; ViT-B-16 and ViT-L-14 need "
                "nothing more."
            ) from error


def check_name(name: str) -> None:
    """Raises ModelError unless `name` is one that `load_clip` and `build_clip` take."""
    import open_clip

    names = [TINY_NAME, *open_clip.list_models()]
    if name not in names:
        near = ", ".join(difflib.get_close_matches(name, names, n=4)) or "ViT-B-16, ViT-L-14"
        raise ModelError(
            f"model.name {name!r} is not a known CLIP. Expected {TINY_NAME} (embedded) or an "
            f"open_clip name, for example: {near}"
        )


def _find_weights(name: str, pretrained: str | None) -> Weights:
    import open_clip

    kind = weights_kind(name, pretrained)
    if pretrained is None or kind == "embedded":
        return embedded_weights()
    if kind == "tag":
        return tag_weights(name, pretrained)
    mean, std = (
        (TINY_MEAN, TINY_STD)
        if name == TINY_NAME
        else (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    return file_weights(Path(pretrained).expanduser(), mean, std)


def _quick_gelu(name: str, weights: Weights) -> bool:
    import open_clip

    if weights.quick_gelu is not None:
        return weights.quick_gelu
    config = TINY_CONFIG if name == TINY_NAME else open_clip.get_model_config(name)
    return bool(config.get("quick_gelu", False))


def _load_into(model: Any, weights: Weights, name: str) -> bool:
    """Fill the model. Returns whether the file held its image encoder alone."""
    import open_clip

    path = weights.path
    if path.suffix != ".safetensors" and os.environ.get(_UNPICKLE):
        # open_clip reads a file again, without weights_only, after a TypeError, which a malicious file can provoke.
        raise ModelError(
            f"{_UNPICKLE} is set, under which {path} could run code while it is read. Unset it, or give "
            "the weights as .safetensors"
        )
    wanted = model.state_dict()
    found = find_weights(path, wanted)
    image = {key: value for key, value in wanted.items() if key.startswith(IMAGE)}
    needed = image if found.image_only else wanted
    said = mismatch(found.state, needed, found.others)
    if (said or found.image_only) and found.where in _OPEN_CLIP_READS:
        try:  # it also converts some formats, and positions of another size
            open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True)
            return False
        except Exception as error:  # noqa: BLE001 - a damaged file surfaces as any of a dozen types
            if not found.state:
                said = shortened(error)
    if said:
        raise ModelError(
            f"The weights at {path} do not fit model.name {name!r}: {said}. Expected a state dict of exactly this "
            "model; change model.name to the model they belong to, or model.pretrained to another file"
        )
    model.load_state_dict(found.state, strict=not found.image_only)
    if told := found.told():
        warnings.warn(f"{path}: {told}", ItkmWarning, stacklevel=3)
    return found.image_only


def _tokenizer(name: str) -> Any:
    import open_clip

    if name == TINY_NAME:
        return open_clip.SimpleTokenizer(context_length=TINY_CONFIG["text_cfg"]["context_length"])
    try:
        return open_clip.get_tokenizer(name)
    except Exception as error:  # tokenizers of other libraries, fetched from their hub
        raise ModelError(
            f"The tokenizer of model.name {name!r} cannot be loaded: {error}. Models with CLIP's own "
            "tokenizer (ViT-B-16, ViT-L-14, ...) need no download for it"
        ) from error
