"""Find the file of a CLIP's weights: embedded, cached, fetched by tag, or given as a path."""

from __future__ import annotations

import json
import os
import platform
import ssl
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from itkm_core.errors import ItkmWarning, ModelError
from itkm_core.model.tiny import TINY_MEAN, TINY_NAME, TINY_STD
from itkm_core.storage.locks import exclusive, node_lock

WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
EMBEDDED_WEIGHTS = Path(__file__).parent / "weights" / f"{TINY_NAME}.safetensors"
# A working network answers a HEAD request well within this.
PROBE_SECONDS = 5.0

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Weights:
    """A weights file and what is known about it; if `quick_gelu` is None the model's name decides."""

    path: Path
    mean: Colour
    std: Colour
    quick_gelu: bool | None = None


def weights_kind(name: str, pretrained: str | None) -> Literal["embedded", "file", "tag"]:
    """Where `load_clip` would look for these weights; does not look there itself.

    Raises:
        ModelError: there are no such weights.
    """
    if pretrained is not None and _looks_like_path(pretrained):
        return "file"
    if name == TINY_NAME:
        if pretrained is not None:
            raise ModelError(
                f"model.pretrained {pretrained!r} is not a tag of {TINY_NAME}. Leave "
                "model.pretrained out for the embedded weights, or give the path of a .safetensors "
                "file"
            )
        return "embedded"
    if pretrained is None:
        import open_clip

        raise ModelError(
            f"model.pretrained is not set and model.name {name!r} has no embedded weights. Set it "
            f"to a file or to one of its tags: "
            f"{', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none known'}"
        )
    return "tag"


def embedded_weights() -> Weights:
    """The weights that ship with the package.

    Raises:
        ModelError: this installation lacks the file.
    """
    if not EMBEDDED_WEIGHTS.is_file():
        raise ModelError(
            f"The embedded weights of {TINY_NAME} are missing: expected {EMBEDDED_WEIGHTS}. "
            "Install itkm from a complete checkout or wheel, or make them with `python -m "
            "itkm_core.model.train_tiny`"
        )
    return Weights(EMBEDDED_WEIGHTS, TINY_MEAN, TINY_STD)


def file_weights(path: Path, mean: Colour, std: Colour) -> Weights:
    """Weights in a local file; an `open_clip_config.json` beside it, if any, gives the rest.

    Args:
        path: .safetensors, .pt, .pth or .bin.
        mean, std: used if there is no configuration beside the file.

    Raises:
        ModelError: no such file, another kind of file, or a TorchScript archive.
    """
    if not path.is_file():
        raise ModelError(
            f"model.pretrained names {path}, but there is no such file on {platform.node()}. Expected a weights file "
            f"({', '.join(WEIGHTS_SUFFIXES)}), on a cluster where all machines see it, or one of open_clip's tags"
        )
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise ModelError(
            f"model.pretrained names {path}: expected one of {', '.join(WEIGHTS_SUFFIXES)}, saw "
            f"{path.suffix!r}"
        )
    if _is_torchscript(path):
        raise ModelError(
            f"{path} is a TorchScript archive (as OpenAI's original .pt files are): it holds code "
            "and cannot be read without executing it. Use the same weights as safetensors: set "
            "model.pretrained to the tag (`openai`), or fetch open_clip_model.safetensors from the "
            "hub repository of that tag (timm/vit_base_patch16_clip_224.openai for ViT-B-16) and "
            "give its path"
        )
    config = _neighbouring_config(path)
    if config is None:
        if "openai" in str(path).lower():
            warnings.warn(
                f"{path} looks like OpenAI's weights, which need QuickGELU: unless model.name ends "
                "in -quickgelu, features are wrong without any error",
                ItkmWarning,
                stacklevel=2,
            )
        return Weights(path, mean, std)
    preprocess = config.get("preprocess_cfg", {})
    model = config.get("model_cfg", {})
    return Weights(
        path,
        mean=tuple(preprocess.get("mean", mean)),
        std=tuple(preprocess.get("std", std)),
        quick_gelu=bool(model["quick_gelu"]) if "quick_gelu" in model else None,
    )


def tag_weights(name: str, tag: str) -> Weights:
    """The weights of an open_clip tag: from the local cache, else downloaded into it.

    Raises:
        ModelError: unknown tag, or not in the cache and the network does not answer within seconds.
    """
    config = _tag_config(name, tag)
    path = _cached(config)
    if path is None:
        path = _download(name, tag, config)
    return Weights(
        path,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        quick_gelu=bool(config.get("quick_gelu", False)),
    )


def hub_files(name: str, tag: str) -> tuple[str, list[str]] | None:
    """The hub repository of a tag and the names its weights may have there; None for a tag of another server.

    Raises:
        ModelError: unknown tag.
    """
    config = _tag_config(name, tag)
    return _hub_files(config) if config.get("hf_hub") else None


def find_on_hub(repository: str, filenames: Sequence[str]) -> tuple[Path | None, str | None]:
    """The first of the files in this machine's cache; if none is, why it cannot be fetched, or (None, None)."""
    from huggingface_hub import constants, try_to_load_from_cache

    for filename in filenames:
        found = try_to_load_from_cache(repository, filename)
        if isinstance(found, str):
            return Path(found), None
    where = f"not in the hub cache {constants.HF_HUB_CACHE}"
    if constants.HF_HUB_OFFLINE:
        return None, f"{where}, and HF_HUB_OFFLINE is set"
    reason = _unreachable(constants.ENDPOINT)
    silence = f"{where}, and {constants.ENDPOINT} does not answer: {reason}"
    return None, None if reason is None else silence


def _tag_config(name: str, tag: str) -> dict[str, Any]:
    import open_clip

    config: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        raise ModelError(
            f"model.pretrained {tag!r} is neither a file nor a tag of model.name {name!r}. Its "
            f"tags: {', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none known'}"
        )
    return config


def _looks_like_path(pretrained: str) -> bool:
    path = Path(pretrained)
    return path.suffix in WEIGHTS_SUFFIXES or len(path.parts) > 1 or path.exists()


def _hub_files(config: dict[str, Any]) -> tuple[str, list[str]]:
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, filename = os.path.split(config["hf_hub"])
    return repository, [filename] if filename else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]


def _cached(config: dict[str, Any]) -> Path | None:
    """The file, if an earlier download left it in the cache; does not use the network."""
    from huggingface_hub import try_to_load_from_cache

    if config.get("hf_hub"):
        repository, filenames = _hub_files(config)
        for filename in filenames:
            found = try_to_load_from_cache(repository, filename)
            if isinstance(found, str):
                return Path(found)
    return None


def _download(name: str, tag: str, config: dict[str, Any]) -> Path:
    import open_clip
    from huggingface_hub import constants

    if config.get("hf_hub"):
        repository, filenames = _hub_files(config)
        what = (
            f"{filenames[0]} of the hub repository {repository} ({constants.ENDPOINT}/{repository})"
        )
        where = (
            f"the hub cache {constants.HF_HUB_CACHE} (`hf download {repository} {filenames[0]}` "
            "fills it)"
        )
        server, offline = constants.ENDPOINT, constants.HF_HUB_OFFLINE
    else:
        what, where = config["url"], str(Path("~/.cache/clip").expanduser())
        server, offline = config["url"], False
    advice = (
        f"The weights {tag!r} of {name} are not on this machine. Fetch {what} on a machine with "
        f"network and put it into {where}, or anywhere and set model.pretrained to its path"
        + (f" with model.name {_quick_name(name)}" if config.get("quick_gelu") else "")
    )
    if offline:
        raise ModelError(f"{advice}. (HF_HUB_OFFLINE is set, so no download was tried.)")
    # A file left there by an earlier download is only checked against its hash.
    already_there = not config.get("hf_hub") and (Path(where) / Path(server).name).is_file()
    reason = None if already_there else _unreachable(server)
    if reason is not None:
        raise ModelError(f"{advice}. (No network: {server} did not answer: {reason}.)")
    try:
        # The workers of a node start at once: one fetches, the others find what it fetched. The libraries' own
        # locks are in their cache, where locks may not work, and not every download has one.
        with exclusive(node_lock("weights", server + what)):
            return _cached(config) or Path(open_clip.download_pretrained(config))
    except Exception as error:  # the download libraries share no base class
        raise ModelError(f"{advice}. (The download failed: {error})") from error


def _quick_name(name: str) -> str:
    return name if name.endswith("-quickgelu") else f"{name}-quickgelu"


def _unreachable(server: str) -> str | None:
    """Why a server does not answer one short request; None if it answers anything at all."""
    request = urllib.request.Request(server, method="HEAD")  # through the environment's proxies
    try:
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        # The download library brings its own certificates: a problem with ours says nothing.
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _is_torchscript(path: Path) -> bool:
    if path.suffix == ".safetensors" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in entry for entry in archive.namelist())


def _neighbouring_config(path: Path) -> dict[str, Any] | None:
    beside = path.parent / "open_clip_config.json"
    if not beside.is_file():
        return None
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{beside}, beside the weights, is not valid JSON: {error}") from error
    return config if isinstance(config, dict) else None
