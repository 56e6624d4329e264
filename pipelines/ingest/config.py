"""What `itkm ingest` is asked to do: one or more sources, and limits on their pictures."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from itkm_core.collections.known import COLLECTIONS
from itkm_core.collections.manifest import split_manifest
from itkm_core.collections.pattern import DEFAULT_PATTERN, compile_pattern
from itkm_core.collections.tracks.listing import CropOptions
from itkm_core.corpus.images import ImageLimits
from itkm_core.errors import ConfigError
from itkm_core.storage.paths import join, read_bytes
from itkm_core.storage.place import Place
from pipelines.ingest.cameras import lists_cameras
from pipelines.yaml_text import parse_yaml

KINDS = ("folder", "tracks", "synthetic", *sorted(COLLECTIONS))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _camera(value: Any) -> Any:
    """A camera as its source calls it: numbers that were typed as text are numbers again."""
    if isinstance(value, bool):
        raise ValueError("YAML reads this word as true or false: put a camera's name in quotes")
    text = value.strip() if isinstance(value, str) else value
    if text == "":
        raise ValueError("a camera without a name")
    plain = isinstance(text, str) and re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text)
    return int(text) if plain else text


Camera = Annotated[int | str, BeforeValidator(_camera)]


class GroupBy(_Section):
    """How the group of a picture, 0 or 1, is decided."""

    by: Literal["column", "camera", "resolution"] = "column"
    column: str = "group"  # by column: the name of the manifest's column
    cameras: tuple[
        Camera, ...
    ] = ()  # by camera: the cameras of group 1, by the source's names or numbers
    below: int = Field(default=0, ge=0)  # by resolution: lower than this, in pixels, is group 1

    @model_validator(mode="after")
    def _complete(self) -> GroupBy:
        if self.by == "camera" and not self.cameras:
            raise ValueError("by: camera needs cameras, the list of cameras of group 1")
        if self.by == "resolution" and not self.below:
            raise ValueError("by: resolution needs below, the height in pixels")
        given = self.model_fields_set - {"by"}
        if extra := given - {{"camera": "cameras", "resolution": "below"}.get(self.by, self.by)}:
            raise ValueError(f"by: {self.by} does not use {', '.join(sorted(extra))}")
        return self


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"expected {', '.join(KINDS)}")
    return kind


class Crops(_Section):
    """Which of a tracker's boxes become crops (see `CropOptions`), and how they are written."""

    every: int | None = Field(default=None, ge=1)
    # None: that of CropOptions, unless there is `every`.
    per_tracklet: int | None = Field(default=None, ge=1)
    min_height: int = Field(default=CropOptions.min_height, ge=0)
    min_confidence: float = Field(default=CropOptions.min_confidence, ge=0, le=1)
    max_gap: int = Field(default=CropOptions.max_gap, ge=1)
    quality: int = Field(default=95, ge=1, le=100)  # of the JPEGs

    @model_validator(mode="after")
    def _one_rule(self) -> Crops:
        if self.every is not None and self.per_tracklet is not None:
            raise ValueError("expected every or per_tracklet, not both")
        return self

    def options(self) -> CropOptions:
        return CropOptions(**self.model_dump(exclude={"quality"}, exclude_none=True))


class Source(_Section):
    """One folder of pictures, or videos with what a tracker saw in them, and how to read it."""

    kind: Annotated[str, AfterValidator(_kind)]
    # A folder or URI; for kind folder also a manifest, whose paths are relative to its folder; for kind tracks a video,
    # a folder of frames, or a YAML file of several of them.
    path: str
    scenario: str | None = None
    variant: str | None = None  # for collections that can be read in several ways
    pattern: str | None = None
    manifest: str | None = None
    tracks: str | None = None  # for kind tracks: the tracker's file of the one video
    crops: Crops = Crops()
    group_names: dict[str, Literal[0, 1]] = {}
    group_by: GroupBy | None = None  # None: the collection's own groups, or else group 0
    # The bits that 16-bit grey uses; "auto": as its largest value needs. None keeps the upper byte of 16.
    depth: Annotated[int, Field(ge=8, le=16)] | Literal["auto"] | None = None
    # A second group made from the one there is; mlr: the pictures of group_by's cameras in low resolution; clothes:
    # the training pictures, seen in other clothes whenever they are loaded.
    derive: Literal["mlr", "clothes"] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Source:
        if self.kind != "folder":
            for name in ("pattern", "manifest", "group_names"):
                if getattr(self, name):
                    raise ValueError(f"{name} applies to kind folder only, not to {self.kind}")
        if self.variant is not None and self.variant not in self._variants():
            there = ", ".join(self._variants()) or "none"
            raise ValueError(f"the variants of {self.kind} are {there}: not {self.variant!r}")
        if self.kind == "tracks":
            self._check_tracks()
        elif self.tracks is not None or "crops" in self.model_fields_set:
            raise ValueError("tracks and the options of crops apply to kind tracks only")
        if self.derive is not None:
            self._check_derived()
        if self.pattern is not None:
            compile_pattern(self.pattern)
        if self.kind == "synthetic" and self.scenario is not None:
            raise ValueError("a synthetic source names its own scenarios: leave out scenario")
        if self.pattern is not None and self.manifest is not None:
            raise ValueError("expected a pattern or a manifest, not both")
        if self.kind == "folder" and self.group_by is not None and self.group_by.by == "column":
            self._check_group_column(self.group_by.column)
        return self

    @property
    def called(self) -> str | None:
        """The scenario of all pictures, if they have one name: as given, or the collection's, `mlr-` before it."""
        if self.scenario is not None or self.kind not in COLLECTIONS:
            return self.scenario
        return f"mlr-{self.kind}" if self.derive == "mlr" else self.kind

    def _variants(self) -> tuple[str, ...]:
        return COLLECTIONS[self.kind].variants if self.kind in COLLECTIONS else ()

    def _check_tracks(self) -> None:
        listed = lists_cameras(self.path)
        if listed == (self.tracks is not None):
            raise ValueError(
                "the YAML file names the tracker's file of each video: leave out tracks"
                if listed
                else "expected tracks, the tracker's file of this video, or a YAML file (.yaml) of several videos"
            )
        if self.group_by is not None and self.group_by.by != "camera":
            raise ValueError("groups of videos are decided by camera, or by group in the YAML file")
        if self.depth is not None:
            raise ValueError("depth does not apply to crops, which are written with 8 bits")

    def _check_derived(self) -> None:
        if self.kind == "tracks":
            raise ValueError("derive does not apply to crops")
        by = None if self.group_by is None else self.group_by.by
        if self.derive == "clothes" and by is not None:
            raise ValueError("derive: clothes makes group 1 of all pictures: leave out group_by")
        if self.derive == "mlr" and by == "resolution":
            raise ValueError(
                "derive: mlr makes the low resolution itself: group_by names its cameras"
            )

    def _check_group_column(self, column: str) -> None:
        if self.manifest is not None or split_manifest(self.path) is not None:
            return
        fields = compile_pattern(self.pattern or DEFAULT_PATTERN).fields
        if column != "group" or "group" not in fields:
            raise ValueError("by: column needs {group} in the pattern, or a manifest")


class IngestConfig(_Section):
    """A corpus to make. Sources are read in order, and no two of them may share a scenario."""

    sources: tuple[Source, ...] = Field(min_length=1)
    max_pixels: int = Field(default=ImageLimits.max_pixels, ge=1)
    max_bytes: int = Field(default=ImageLimits.max_bytes, ge=1)
    max_rejected_fraction: float = Field(default=0.01, ge=0, le=1)
    # A shard is one write task and one file in a node's cache; Arrow's offsets end at 2 GiB.
    shard_bytes: int = Field(default=128 * 2**20, ge=1, le=2**30)

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(max_pixels=self.max_pixels, max_bytes=self.max_bytes)

    def identity(self) -> dict[str, Any]:
        """What decides the contents of a corpus besides the pictures: neither paths nor tolerance."""
        dump = self.model_dump(mode="json", exclude={"max_rejected_fraction"})
        for source in dump["sources"]:
            del source["path"], source["manifest"], source["tracks"]
            if source["kind"] != "tracks":
                del source["crops"]
            if source["variant"] is None:
                del source["variant"]
            for name in ("depth", "derive"):  # as in a corpus from before there was a choice
                if source[name] is None:
                    del source[name]
        return dump


def ingest_config(**values: Any) -> IngestConfig:
    """`IngestConfig(**values)`.

    Raises:
        ConfigError: unknown keys or values out of range, one a line.
    """
    return _validated(values, "ingest")


def load_ingest_config(path: str | os.PathLike[str]) -> IngestConfig:
    """The configuration in a YAML file, whose relative paths are relative to its folder.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a value out of range.
    """
    file = Place.at(path)
    try:
        data = read_bytes(file.uri)
    except FileNotFoundError as error:
        raise ConfigError(f"no ingest config at {file}") from error
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"cannot read the ingest config {file}: {why}") from error
    raw = parse_yaml(data, f"cannot read the ingest config {file}: it")
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{file} holds a {type(raw).__name__}; expected the key `sources:` with a list"
        )
    listed = raw.get("sources")
    for source in listed if isinstance(listed, list) else []:
        for key in ("path", "manifest", "tracks"):
            if isinstance(source, dict) and isinstance(source.get(key), str):
                source[key] = _below(file.parent.uri, source[key])
    return _validated(raw, str(file))


def _below(folder: str, path: str) -> str:
    if "://" in path or os.path.isabs(os.path.expanduser(path)):
        return path
    return join(folder, path)


def _validated(values: dict[str, Any], where: str) -> IngestConfig:
    try:
        return IngestConfig.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])) or 'config'}: "
            f"{item['msg'].removeprefix('Value error, ')} (got {item['input']!r})"
            for item in error.errors()
            # A list whose entries are refused counts as empty, which is no fault of its own.
            if item["type"] != "too_short" or error.error_count() == 1
        ]
        raise ConfigError(f"{where} is not valid:\n  " + "\n  ".join(lines)) from error
