"""The videos of a source of kind tracks: one, or those that a YAML file lists."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from itkm_core.collections.listing import DEFAULT_SCENARIO
from itkm_core.collections.tracks.listing import Camera
from itkm_core.corpus.record import SCENARIO_NAME
from itkm_core.errors import ConfigError
from itkm_core.storage.paths import is_local, join, read_bytes, resolve
from itkm_core.storage.place import Place
from pipelines.yaml_text import parse_yaml

CAMERAS_SUFFIXES = (".yaml", ".yml")


def _name(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("YAML reads this word as true or false: put a camera's name in quotes")
    text = str(value) if isinstance(value, int) else value
    if isinstance(text, str) and not SCENARIO_NAME.fullmatch(text):
        raise ValueError(
            "a camera's name is part of its crops' names: letters, digits, '.', '_', '-' or spaces, the first no "
            "'.', '-' or space, at most 64 of them"
        )
    return text


class _Video(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    video: str
    tracks: str
    camera: Annotated[str, BeforeValidator(_name)]
    scenario: str | None = None
    group: Literal[0, 1] = 0
    start: float | None = Field(default=None, allow_inf_nan=False)
    persons: str | None = None
    split: Literal["train", "query", "gallery"] = "train"


class _Cameras(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cameras: tuple[_Video, ...] = Field(min_length=1)


def lists_cameras(path: str) -> bool:
    """Whether `path` is that of a YAML file of several videos."""
    return path.lower().partition("?")[0].endswith(CAMERAS_SUFFIXES)


def cameras_of(path: str, tracks: str | None, scenario: str | None) -> list[Camera]:
    """The videos at `path`: a YAML file of them, or one video (or folder of frames) that `tracks` belongs to.

    Their paths are absolute, or URIs. scenario: of those that have none of their own.

    Raises:
        ConfigError: a YAML file that cannot be read, or a video whose name names no camera.
    """
    scenario = scenario or DEFAULT_SCENARIO
    if tracks is not None:
        name = os.path.splitext(os.path.basename(path.rstrip("/")))[0]
        if not SCENARIO_NAME.fullmatch(name):
            raise ConfigError(
                f"{path}: the video's name is its camera's, and {name!r} cannot be one; rename it, or list it with "
                "its camera in a YAML file (docs/video.md)"
            )
        return [Camera(_absolute(path), _absolute(tracks), name, scenario)]
    file = Place.at(path)
    cameras = []
    for each in _read(file).cameras:
        folder = file.parent.uri
        video, boxes = (_absolute(_below(folder, one)) for one in (each.video, each.tracks))
        persons = each.persons and _absolute(_below(folder, each.persons))
        own = each.scenario or scenario
        more = (each.group, each.start, persons, each.split)
        cameras.append(Camera(video, boxes, each.camera, own, *more))
    return cameras


def _read(file: Place) -> _Cameras:
    try:
        data = read_bytes(file.uri)
    except OSError as error:
        raise ConfigError(
            f"cannot read the cameras in {file}: {error.strerror or error}"
        ) from error
    raw = parse_yaml(data, f"cannot read the cameras in {file}: it")
    try:
        return _Cameras.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {re.sub('^Value error, ', '', item['msg'])}"
            for item in error.errors()
            # A list whose entries are refused counts as empty, which is no fault of its own.
            if item["type"] != "too_short" or error.error_count() == 1
        ]
        raise ConfigError(
            f"{file} is no list of cameras: {'; '.join(lines)}; expected `cameras:` with video, tracks and camera "
            "of each, and perhaps scenario, group, start, persons and split"
        ) from error


def _below(folder: str, path: str) -> str:
    outside = "://" in path or os.path.isabs(os.path.expanduser(path))
    return path if outside else join(folder, path)


def _absolute(path: str) -> str:
    return resolve(path)[1] if is_local(path) else path
