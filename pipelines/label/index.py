"""The index that `itkm label` writes for images that arrive later, which `--against` labels with it.

    index/index.json                 the configuration, and each group's parameters and digest; written last
    index/<group>/rows.npy           float32 [N, D], the features as they were compared
    index/<group>/neighbours.npy     int32 [N, k1], rows of rows.npy
    index/<group>/labels.parquet     sample_id, label, is_core, in ascending order of sample_id, like the rows above;
                                     frames, if the rows are of units of several images (tracklets)
    index/<group>/cameras.npz        the cameras' means, if features were compared without their camera's mean

It takes 4 D + 4 k1 + about 5 bytes per image on disk. Finding the neighbours again would be costly; the encodings,
four times their size, cost about a tenth of that and change with every arrival, so they are recomputed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.clustering.arrivals.label import Known
from itkm_core.clustering.cameras import CameraMeans
from itkm_core.clustering.options import LabelOptions
from itkm_core.errors import ItkmError, StorageError
from itkm_core.neighbors.lookup import MAX_ID
from itkm_core.storage.place import Place
from pipelines.config_labels import LabelConfig

FOLDER = "index"
RECORD = "index.json"
VERSION = 1
PARAMETERS = ("k1", "k2", "eps", "min_samples", "backend", "recall")  # of `label_arrivals`

_GROUP_FILES = ("rows.npy", "neighbours.npy", "labels.parquet", "cameras.npz")

AGAIN = "label its images again with `itkm label`"


@dataclass(frozen=True)
class GroupRecord:
    """One group of an index: its folder in the index, how it was labelled, and what must be there."""

    folder: str
    parameters: dict[str, Any]
    num_images: int
    dimension: int
    largest_id: int
    digest: str


@dataclass(frozen=True)
class Index:
    """`labels`: the configuration for groups that are not in the index yet. `encoder`: what made the features; None if
    they were made elsewhere. `without_camera`: whether they are compared without their camera's mean."""

    place: Place
    labels: LabelConfig
    without_camera: bool
    encoder: dict[str, Any] | None
    groups: Mapping[str, GroupRecord]

    @property
    def digest(self) -> str:
        """The digest of everything in it."""
        return hashlib.sha256((self.place / RECORD).read_bytes()).hexdigest()[:24]

    @property
    def next_id(self) -> int:
        """The sample id after the largest one."""
        return 1 + max(group.largest_id for group in self.groups.values())

    def sample_ids(self) -> np.ndarray:
        """The sample ids of all groups' images, int64."""
        tables = [
            _labels_of(self.place / group.folder, columns=["sample_id"])
            for group in self.groups.values()
        ]
        return np.concatenate([table["sample_id"].to_numpy() for table in tables])

    def write(self) -> None:
        """Write index.json, which makes what is there an index."""
        (self.place / RECORD).write_json(
            {
                "version": VERSION,
                "labels": self.labels.model_dump(mode="json"),
                "without_camera": self.without_camera,
                "encoder": self.encoder,
                "groups": {name: asdict(group) for name, group in self.groups.items()},
            }
        )


def emptied(place: Place) -> Place:
    """The folder of an index without what an earlier call wrote there; anything else in it stays.

    Raises:
        StorageError: it cannot be written.
    """
    (place / RECORD).remove()  # first: without it the rest is no index
    _, root = place.resolve()
    for path in place.files():
        folder, _, name = path.removeprefix(f"{root}/").partition("/")
        if name in _GROUP_FILES:
            (place / folder / name).remove()
    return place


def read_index(run: str) -> Index:
    """The index in the output folder of `itkm label`.

    Raises:
        StorageError: no such folder, no index in it, an index of another version, or one whose groups are not
            folders in it.
    """
    place = Place.at(run)
    record = place / FOLDER / RECORD
    if not record.exists():
        raise StorageError(f"--against {run}: {_why_not(place)}")
    raw = record.read_json()
    version = raw.get("version") if isinstance(raw, dict) else None
    if version != VERSION:
        raise StorageError(
            f"--against {run}: its index has version {version}, but this itkm reads {VERSION}; {AGAIN}"
        )
    try:
        groups = {name: _checked(GroupRecord(**group)) for name, group in raw["groups"].items()}
        if not groups:
            raise ValueError("no groups")
        encoder, without_camera = raw["encoder"], raw["without_camera"]
        if not isinstance(without_camera, bool) or not isinstance(encoder, dict | None):
            raise ValueError(f"without_camera {without_camera!r}, encoder {encoder!r}")
        labels = LabelConfig.model_validate(raw["labels"])
        return Index(place / FOLDER, labels, without_camera, encoder, groups)
    except (KeyError, TypeError, AttributeError, ValueError, ItkmError) as error:
        said = " ".join(str(error).split())
        raise StorageError(
            f"{record} is damaged ({type(error).__name__}: {said}): {AGAIN}"
        ) from error


def _checked(group: GroupRecord) -> GroupRecord:
    """Raises ValueError or ConfigError unless a record has the values that one can have."""
    kinds = {"folder": str, "parameters": dict, "num_images": int, "dimension": int}
    for name, kind in {**kinds, "largest_id": int, "digest": str}.items():
        value = getattr(group, name)
        if type(value) is not kind:
            raise ValueError(f"{name} {value!r}, expected {kind.__name__}")
    if group.folder in ("", ".", "..") or set("/\\\0") & set(group.folder):
        raise ValueError(f"folder {group.folder!r} is not in the index")
    if min(group.num_images, group.dimension) < 1 or not -MAX_ID <= group.largest_id <= MAX_ID:
        raise ValueError(
            f"num_images {group.num_images}, dimension {group.dimension}, largest_id {group.largest_id}"
        )
    options = group.parameters
    if set(options) != set(PARAMETERS) or not isinstance(options["recall"], int | float):
        raise ValueError(f"parameters {options}, expected {', '.join(PARAMETERS)}")
    if options["eps"] == "auto" or not isinstance(options["backend"], str):
        raise ValueError(f"eps {options['eps']!r}, backend {options['backend']!r}")
    LabelOptions(**options)
    return group


def _why_not(place: Place) -> str:
    if not place.exists():
        return "there is no such folder; expected one that `itkm label` wrote"
    if (place / "config.yaml").exists():
        return (
            "the folder of a training run; expected one that `itkm label --corpus CORPUS --checkpoint RUN "
            "--out FOLDER` wrote"
        )
    if (place / "pseudo_labels.parquet").exists():
        return f"labels, but no index of their images (an older itkm, or one cut off): {AGAIN}"
    return "no labels there; expected a folder that `itkm label` wrote"


def write_group(
    index: Place,
    folder: str,
    known: Known,
    parameters: Mapping[str, Any],
    cameras: CameraMeans | None = None,
    *,
    largest_id: int,
) -> GroupRecord:
    """Write one group below `index`; `parameters`: those it was labelled with, `PARAMETERS` among them.

    largest_id: of its images, which may be beyond that of the last unit's first image.
    """
    place = index / folder
    (place / "rows.npy").write_array(known.rows)
    (place / "neighbours.npy").write_array(known.lists)
    columns = {"sample_id": known.sample_ids, "label": known.labels, "is_core": known.is_core}
    if known.frames is not None:
        columns["frames"] = known.frames
    (place / "labels.parquet").write_table(pa.table(columns))
    if cameras is not None:
        (place / "cameras.npz").write_arrays(vars(cameras))
    return GroupRecord(
        folder,
        {name: parameters[name] for name in PARAMETERS},
        len(known.rows),
        known.rows.shape[1],
        largest_id,
        _digest(known, cameras),
    )


def read_group(index: Place, group: GroupRecord) -> tuple[Known, CameraMeans | None]:
    """A group's images, memory-mapped if the index is on this machine.

    Raises:
        StorageError: a file is missing, cut off, or not what was written.
    """
    place = index / group.folder
    table = _labels_of(place)
    cameras = None
    try:
        known = Known(
            table["sample_id"].to_numpy(),
            _array(place / "rows.npy"),
            _array(place / "neighbours.npy"),
            table["label"].to_numpy(),
            table["is_core"].to_numpy(zero_copy_only=False),
            table["frames"].to_numpy() if "frames" in table.column_names else None,
        )
        if (place / "cameras.npz").exists():
            cameras = CameraMeans(**(place / "cameras.npz").read_arrays())
        whole = _digest(known, cameras) == group.digest
    except (OSError, ValueError, EOFError, KeyError, TypeError, pa.ArrowException) as error:
        raise StorageError(f"{place} is cut off or damaged ({error}): {AGAIN}") from error
    if not whole:
        raise StorageError(f"{place} is not what was written there (its digest differs): {AGAIN}")
    return known, cameras


def _labels_of(place: Place, **options: Any) -> pa.Table:
    try:
        table = (place / "labels.parquet").read_table(**options)
        if table.schema.field("sample_id").type != pa.int64():
            raise ValueError(f"sample_id is {table.schema.field('sample_id').type}")
        return table
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise StorageError(
            f"{place}/labels.parquet is cut off or gone ({said}): {AGAIN}"
        ) from error


def _array(place: Place) -> np.ndarray:
    if not place.is_local:
        return place.read_array()
    return np.asarray(np.load(place.resolve()[1], mmap_mode="r", allow_pickle=False))


def _digest(known: Known, cameras: CameraMeans | None) -> str:
    whole = hashlib.sha256()
    means = [] if cameras is None else vars(cameras).values()
    for array in (*vars(known).values(), *means):
        if array is None:  # no frames: images, and no units of them
            continue
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()[:24]
