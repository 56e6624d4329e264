"""A CSV or Parquet file that lists pictures: a `uri` (or `path`) column, and any of the fields."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from itkm_core.collections.pattern import FIELDS
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import resolve

KEYS = ("uri", "path")
MANIFEST_SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read_manifest(
    path: str, *, group_column: str | None = None
) -> tuple[list[str], dict[str, list[str | None]]]:
    """The paths in a manifest and, for each field it has, their values as text (None if empty).

    group_column: the column that holds the group, if it is not `group`.

    Raises:
        CorpusError: it does not exist or cannot be read, or it has no key column, an empty key or no rows.
    """
    table = _read(path)
    names = {name.strip().casefold(): name for name in table.column_names}
    key = next((names[name] for name in KEYS if name in names), None)
    wanted = {field: names.get(field) for field in FIELDS if field != "name"}
    if group_column is not None:
        wanted["group"] = group_column if group_column in table.column_names else None
    missing = "uri" if key is None else group_column if wanted["group"] is None else None
    if key is None or missing is not None:
        raise CorpusError(
            f"{path} has no column {missing!r}; it has {', '.join(table.column_names) or 'none'}. "
            f"Expected uri (or path) and any of {', '.join(wanted)}"
        )
    if not table.num_rows:
        raise CorpusError(f"{path} lists no pictures")
    uris = _texts(table[key])
    if None in uris:
        raise CorpusError(f"{path}: row {uris.index(None) + 1} has an empty {key}")
    fields = {field: _texts(table[name]) for field, name in wanted.items() if name is not None}
    return [uri for uri in uris if uri is not None], fields


def split_manifest(path: str) -> tuple[str, str] | None:
    """(root, manifest) if `path` is itself a manifest, whose paths are relative to its folder; else None."""
    if not path.lower().endswith(MANIFEST_SUFFIXES):
        return None
    folder, slash, _ = path.rpartition("/")
    return folder or slash or ".", path


def _read(path: str) -> pa.Table:
    if not path.lower().endswith(MANIFEST_SUFFIXES):
        raise CorpusError(f"manifest {path} is not one of {', '.join(MANIFEST_SUFFIXES)}")
    filesystem, inner = resolve(path)
    try:
        if path.lower().endswith(".parquet"):
            return pq.read_table(inner, filesystem=filesystem, partitioning=None)
        with filesystem.open_input_stream(inner) as stream:
            # As text, so that a person "0002" keeps its zeros until all are known to be numbers.
            data = stream.read()
        header = pa_csv.open_csv(pa.BufferReader(data)).schema.names
        texts = pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header}, strings_can_be_null=True
        )
        return pa_csv.read_csv(pa.BufferReader(data), convert_options=texts)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no manifest {path}") from error
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"cannot read the manifest {path}: {error}") from error


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    values = column.to_pylist()
    # pandas writes a column of numbers with gaps as floats.
    if pa.types.is_floating(column.type):
        values = [
            int(value) if value is not None and value.is_integer() else value for value in values
        ]
        values = [None if value != value else value for value in values]
    return [None if value is None or value == "" else str(value) for value in values]
