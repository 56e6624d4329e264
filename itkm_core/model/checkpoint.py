"""A CLIP's weights in the shapes that training code leaves them in: wrapped, prefixed, the image encoder alone.

Nothing in a file is executed: safetensors hold only arrays, and pickles are read with torch's `weights_only`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from itkm_core.errors import ModelError, shortened

State = dict[str, torch.Tensor]

IMAGE = "visual."  # open_clip's name of the image encoder
PREFERRED = ("state_dict", "model")  # where a file holds more than one state dict that fits
MAX_DEPTH = 3  # of dictionaries in dictionaries

# What DistributedDataParallel and torch.compile put before the names of what they wrap.
_WRAPPER = re.compile(r"(?<![^.])(?:module|_orig_mod)\.")
_FORBIDDEN = re.compile(r"GLOBAL (\S+) was not an allowed global|whose module (\S+) is blocked")


@dataclass(frozen=True)
class Found:
    """The part of a file that has a CLIP's names.

    Attributes:
        state: its tensors, under the CLIP's names.
        others: the file's names of tensors that this CLIP lacks, though it has the module they belong to.
        left_out: the file's names of all others, such as a classifier's.
        keys: of the dictionaries around the state, from the outermost.
        prefix: what the file has before its names.
        image_only: whether nothing of the CLIP's text encoder is there.
    """

    state: State
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    prefix: str = ""
    image_only: bool = False

    @property
    def where(self) -> str:
        """The keys and the prefix, as `state_dict / module.`; empty for a CLIP's plain state dict."""
        return " / ".join(filter(None, [*self.keys, self.prefix]))

    def told(self) -> str:
        """What was found where, and what was not taken; empty for a plain state dict."""
        if not self.where and not self.left_out:
            return ""
        said = "the image encoder" if self.image_only else "the weights"
        said += f" found under {self.where}" if self.where else ""
        return said + (f", without {_some(self.left_out)}" if self.left_out else "")


def find_weights(path: Path, wanted: Mapping[str, torch.Tensor]) -> Found:
    """What of a weights file belongs to a CLIP, whose state dict is `wanted`.

    That is a state dict, at the top or in dictionaries under any keys, with anything before its names: `module.` and
    `_orig_mod.`, or the name it has in a larger model. An image encoder alone is one below `image_encoder.`, or
    anything else, whose names are those of the CLIP's own.

    Raises:
        ModelError: the file is damaged, holds more than tensors and plain values, or two states that fit equally.
    """
    found = [each for keys, state in _states(_read(path)) for each in _placed(state, keys, wanted)]
    most = max((len(each.state) for each in found), default=0)
    best = [each for each in found if len(each.state) == most]
    for name in PREFERRED:
        if len(best) > 1:
            best = [each for each in best if each.keys[-1:] == (name,)] or best
    if len(best) > 1:
        raise ModelError(
            f"{path} holds {len(best)} states that fit equally, under {_some([each.where for each in best])}: save "
            "the one to use in a file of its own"
        )
    return best[0] if best else Found({})


def mismatch(
    state: Mapping[str, torch.Tensor],
    wanted: Mapping[str, torch.Tensor],
    others: Sequence[str] = (),
) -> str:
    """In words, what a state dict lacks, has beside (also `others`) or has in another size; empty if it fits."""
    missing = [name for name in wanted if name not in state]
    surplus = [*others, *(name for name in state if name not in wanted)]
    sizes = [
        f"{name} is {list(state[name].shape)}, expected {list(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    counts = (
        (missing, f"Missing keys ({len(missing)} of {len(wanted)})"),
        (surplus, f"Unexpected keys ({len(surplus)})"),
        (sizes, f"Other sizes ({len(sizes)})"),
    )
    return "; ".join(f"{what}: {_some(names)}" for names, what in counts if names)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file surfaces as any of a dozen types
        raise ModelError(f"The weights at {path} cannot be read: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Why a file was not read, without torch's advice to run what is in it."""
    forbidden = _FORBIDDEN.search(str(error))
    if forbidden is None:
        said = str(error).partition("Check the documentation of torch.load")[0]
        said = shortened(said.rpartition("WeightsUnpickler error:")[2])
        return f"{said.rstrip('.')}. Fetch or save the file again"
    name = forbidden[1] or forbidden[2]
    return (
        f"Unsupported global: beside tensors it holds objects of Python ({name}), and to make them would run code. "
        "Save the state dict alone, as in torch.save(model.state_dict(), path)"
    )


def _states(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], State]]:
    """The state dicts in a file, and the keys they are under."""
    if not isinstance(value, Mapping) or len(keys) > MAX_DEPTH:
        return
    named = {name: each for name, each in value.items() if isinstance(name, str)}
    tensors = {name: each for name, each in named.items() if isinstance(each, torch.Tensor)}
    if tensors:
        yield keys, tensors
    for name, each in named.items():
        yield from _states(each, (*keys, name))


def _placed(
    state: State, keys: tuple[str, ...], wanted: Mapping[str, torch.Tensor]
) -> Iterator[Found]:
    """The ways in which names of a state can be those of the CLIP: as a whole, and of its image encoder."""
    names = {_WRAPPER.sub("", full): full for full in state}
    of_image = [name for name in wanted if name.startswith(IMAGE)]
    for start, inside in (("", list(wanted)), (IMAGE, of_image)):
        known = of_image[0].removeprefix(start)
        for name, full in names.items():
            before = name.removesuffix(known)
            if before == name or before[-1:] not in ("", ".") or (start and before.endswith(IMAGE)):
                continue
            mine = {before + each.removeprefix(start): each for each in inside}
            modules = {_module(each, before) for each in mine}
            rest = [each for each in names if each not in mine]
            others = [each for each in rest if _module(each, before) in modules]
            taken = {mine[each]: state[names[each]] for each in names if each in mine}
            yield Found(
                taken,
                tuple(names[each] for each in others),
                tuple(names[each] for each in rest if each not in others),
                keys,
                _prefix(full, known),
                all(each.startswith(IMAGE) for each in taken),
            )


def _prefix(full: str, known: str) -> str:
    """What a file has before a known name, up to the wrapper inside of it if there is one."""
    inside = _WRAPPER.search(full)
    if inside is None or full.endswith(known):
        return full.removesuffix(known)
    return full[: inside.end()]


def _module(name: str, before: str) -> str:
    """The first module below the prefix `before`; empty for what is not below it."""
    return name.removeprefix(before).partition(".")[0] if name.startswith(before) else ""


def _some(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
