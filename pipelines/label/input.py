"""Reads and checks features that were made elsewhere: a NumPy file, or Parquet with sample ids."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileType

from itkm_core.errors import FeatureError, StorageError
from itkm_core.links.units import Links
from itkm_core.neighbors.lookup import MAX_ID, as_int64
from itkm_core.neighbors.unit_rows import UNIT_TOLERANCE
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import UNGROUPED, Block
from pipelines.artifacts.tracklets import TRACKS

FORMATS = (
    "expected .npy with floats [num_images, dimension], or .parquet with sample_id and feature"
)
MAGIC = b"\x93NUMPY"
_ROWS_AT_ONCE = 65_536  # bounds the float64 copies


@dataclass(frozen=True)
class FeatureSet:
    """`features` float [N, D], perhaps memory-mapped; `ids` int64 [N]; each image's `scenario` and `group`, or None.

    `tracks` int64 [N, 3]: camera, tracklet and frame, -1 unknown, or None. `links`: what is known of the images.
    """

    features: np.ndarray
    ids: np.ndarray
    scenario: np.ndarray | None = None
    group: np.ndarray | None = None
    tracks: np.ndarray | None = None
    links: Links | None = None

    def parts(self) -> Iterator[tuple[Block, FeatureSet]]:
        """The images of each block, which are labelled apart; all of them where scenario and group are not known."""
        if self.scenario is None or self.group is None:
            yield UNGROUPED, self
            return
        for scenario in np.unique(self.scenario):
            for group in np.unique(self.group[self.scenario == scenario]):
                mine = (self.scenario == scenario) & (self.group == group)
                links = None if self.links is None else self.links.take(np.flatnonzero(mine))
                part = FeatureSet(self.features[mine], self.ids[mine], links=links)
                yield Block(str(scenario), int(group)), part


def read_input(features: str, ids: str | None, *, normalise: bool, first_id: int = 0) -> FeatureSet:
    """The features of a .npy or .parquet file, as rows that can be labelled.

    Rows of .npy without `ids` are numbered from `first_id` on.

    Raises:
        StorageError: no such file, or it cannot be read.
        FeatureError: unusable contents: cut off, a wrong type or shape, NaN rows, rows not of unit norm (without
            `normalise`, which divides by the norm), or ids that do not name each row once.
    """
    path = _file("--features", features, FORMATS)
    suffix = os.path.splitext(path.resolve()[1])[1]
    if suffix == ".parquet":
        if ids is not None:
            raise FeatureError(
                f"--ids {ids}: {features} has its own sample_id column; leave it out"
            )
        found = _read_parquet(path)
    elif suffix == ".npy":
        rows = _read_npy(path)
        if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.floating):
            raise FeatureError(f"{path} has shape {rows.shape} and dtype {rows.dtype}; {FORMATS}")
        numbers = _counted(first_id, len(rows)) if ids is None else _read_ids(ids, len(rows))
        found = FeatureSet(rows, numbers)
    else:
        raise FeatureError(f"--features {features}: unknown file type; {FORMATS}")
    _refuse_repeated(found.ids, ids or features)
    rows = _unit(found.features, features, normalise)
    return replace(found, features=rows)


def _file(option: str, name: str, expected: str) -> Place:
    """A file anywhere. Raises StorageError where there is none."""
    place = Place.at(name)
    filesystem, path = place.resolve()
    try:
        kind = filesystem.get_file_info(path).type
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{option} {name}: cannot be reached: {error}") from error
    if kind is not FileType.File:
        what = "is a folder" if kind is FileType.Directory else "there is no such file"
        raise StorageError(f"{option} {name}: {what}; {expected}")
    return place


def _read_npy(path: Place) -> np.ndarray:
    """On this machine memory-mapped, so that the kernel can drop what was read, and float32 is not copied."""
    try:
        with path.resolve()[0].open_input_stream(path.resolve()[1], compression=None) as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise FeatureError(f"{path} is not a NumPy file; {FORMATS}")
        if path.is_local:
            array = np.load(path.resolve()[1], mmap_mode="r", allow_pickle=False)
        else:
            array = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (FeatureError, StorageError):
        raise
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    except Exception as error:  # hostile headers surface as any of a dozen types
        said = str(error).partition("\n")[0]
        raise FeatureError(
            f"{path} is cut off, or not an array of plain numbers ({said}); {FORMATS}"
        ) from error
    return np.asarray(array)


def _counted(first_id: int, num_rows: int) -> np.ndarray:
    if first_id + num_rows - 1 > MAX_ID:
        raise FeatureError(
            f"{num_rows:,} sample ids from {first_id} on do not end before {MAX_ID}, the largest there is; give "
            "free ones with --ids"
        )
    return first_id + np.arange(num_rows) if num_rows else np.zeros(0, np.int64)


def _read_ids(path: str, num_rows: int) -> np.ndarray:
    ids = _read_npy(_file("--ids", path, "expected .npy with integers"))
    if ids.shape != (num_rows,) or ids.dtype.kind not in "iu":
        raise FeatureError(
            f"--ids {path} has shape {ids.shape} and dtype {ids.dtype}; expected {num_rows} integers, "
            "one a feature row"
        )
    return as_int64(ids, f"--ids {path}: sample ids")


def _read_parquet(path: Place) -> FeatureSet:
    filesystem, inner = path.resolve()
    try:
        file = pq.ParquetFile(inner, filesystem=filesystem)
        names = file.schema_arrow.names
        wanted = [n for n in ("sample_id", "feature", "scenario", "group", *TRACKS) if n in names]
        table = file.read(columns=wanted)
        table.validate(full=True)  # text in a damaged file may not be UTF-8
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).partition("\n")[0]
        raise FeatureError(
            f"{path} is cut off or not a Parquet file ({said}); {FORMATS}"
        ) from error
    for name in wanted:
        if names.count(name) > 1:
            raise FeatureError(
                f"{path} has the column {name} {names.count(name)} times; expected it once"
            )
    missing = {"sample_id", "feature"} - set(names)
    if missing:
        raise FeatureError(f"{path} has no column {' and no '.join(sorted(missing))}; {FORMATS}")
    if ("scenario" in names) != ("group" in names):
        raise FeatureError(
            f"{path} has only one of the columns scenario and group; expected both (each pair is labelled "
            "separately) or neither"
        )
    for name in wanted:
        if table[name].null_count:
            raise FeatureError(
                f"{path}: {table[name].null_count} rows have no {name}; expected all"
            )
    for name in wanted:
        if name in ("sample_id", *TRACKS) and not pa.types.is_integer(table[name].type):
            raise FeatureError(f"{path}: {name} is {table[name].type}; expected integers")
    grouped = "group" in names
    if grouped:
        _check_scenarios(table["scenario"], path)
        known = pa.types.is_integer(table["group"].type)
        if not known or not set(pc.unique(table["group"]).to_pylist()) <= {0, 1}:
            raise FeatureError(f"{path}: group is not always 0 or 1; expected each image's group")
    return FeatureSet(
        _matrix(table["feature"].combine_chunks(), path),
        as_int64(table["sample_id"].to_numpy(), f"{path}: sample ids"),
        table["scenario"].to_numpy(zero_copy_only=False).astype(str) if grouped else None,
        table["group"].to_numpy() if grouped else None,
        _tracks(table, path) if "tracklet" in names else None,
    )


def _tracks(table: pa.Table, path: Place) -> np.ndarray:
    unknown = np.full(table.num_rows, -1)
    columns = [
        as_int64(table[name].to_numpy(), f"{path}: {name}")
        if name in table.column_names
        else unknown
        for name in TRACKS
    ]
    return np.stack(columns, axis=1)


def _check_scenarios(column: pa.ChunkedArray, path: Place) -> None:
    kind = column.type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    tests = ("string", "large_string", "string_view", "integer")
    if not any(getattr(pa.types, f"is_{test}")(kind) for test in tests):
        raise FeatureError(f"{path}: scenario is {kind}; expected names")
    if "" in column.unique().to_pylist():
        raise FeatureError(f"{path}: a scenario has no name; expected each image's scenario")


def _matrix(lists: Any, path: Place) -> np.ndarray:
    """[N, D] from a column with lists of floats of equal length."""
    if isinstance(
        lists, pa.ChunkedArray
    ):  # what combine_chunks gives varies with pyarrow's version
        lists = pa.concat_arrays(lists.chunks) if lists.num_chunks else pa.array([], lists.type)
    kind = lists.type
    is_list = any(
        test(kind)
        for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    )
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise FeatureError(f"{path}: feature is {kind}; expected lists of floats")
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1:
        raise FeatureError(
            f"{path}: features have from {min(lengths)} to {max(lengths)} numbers; expected the same number in "
            "every row"
        )
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(lists), lengths[0] if lengths else 0)


def _refuse_repeated(ids: np.ndarray, source: str) -> None:
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise FeatureError(
            f"{source}: {int((counts > 1).sum())} sample ids are repeated, the first is "
            f"{values[counts > 1][0]}; expected each image once"
        )


def _unit(rows: np.ndarray, source: str, normalise: bool) -> np.ndarray:
    """`rows` if they are finite and of unit norm; with `normalise`, float32 rows divided by their norms."""
    if len(rows) and rows.shape[1] == 0:
        raise FeatureError(f"{source} has {len(rows)} rows without numbers; {FORMATS}")
    norms = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE].astype(np.float64)
        norms[start : start + _ROWS_AT_ONCE] = np.sqrt(np.einsum("nd,nd->n", part, part))
    refuse = _refuser(source, len(rows))
    refuse(
        ~np.isfinite(norms), "hold NaN, infinity or numbers too large to square", "leave them out"
    )
    if not normalise:
        off = np.abs(norms - 1) > UNIT_TOLERANCE
        norm = f" (norm {norms[np.argmax(off)]:.4g})" if off.any() else ""
        refuse(off, "are not of unit norm", "--normalise divides each row by its norm", norm)
        return rows
    refuse(norms == 0, "are zero and have no direction", "leave them out")
    unit = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        unit[block] = rows[block].astype(np.float64) / norms[block, None]
    return unit


def _refuser(source: str, num_rows: int) -> Callable[..., None]:
    def refuse(bad: np.ndarray, fault: str, advice: str, shown: str = "") -> None:
        if bad.any():
            raise FeatureError(
                f"{source}: {int(bad.sum())} of {num_rows} rows {fault}, the first is row "
                f"{int(np.argmax(bad))}{shown}; {advice}"
            )

    return refuse
