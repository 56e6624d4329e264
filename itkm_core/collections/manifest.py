"""A CSV or Parquet file that lists pictures: a `uri` (or `path`) column, and any of the fields."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from itkm_core.collections.pattern import FIELDS
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import is_local, parent, resolve

KEYS = ("uri", "path")
MANIFEST_SUFFIXES = (".csv", ".csv.gz", ".parquet")


def read_manifest(
    path: str, *, group_column: str | None = None
) -> tuple[list[str], dict[str, list[str | None]]]:
    """The paths in a manifest and, for each field it has, their values as text (None if empty).

    group_column: the column that holds the group, if it is not `group`. Only an empty field is missing: `NA` and
    `null` are names.

    Raises:
        CorpusError: it does not exist or cannot be read, it has no key column, an empty key or no rows, or a column
            that is read is there twice or holds neither text nor numbers.
    """
    table = _read(path)
    names = [name.strip().casefold() for name in table.column_names]
    key = next((name for name in KEYS if name in names), None)
    wanted = {field: field for field in FIELDS if field != "name" and field in names}
    if group_column is not None:
        wanted["group"] = group_column.strip().casefold()
    missing = (
        "uri" if key is None else group_column if wanted.get("group", key) not in names else None
    )
    if key is None or missing is not None:
        raise CorpusError(
            f"{path} has no column {missing!r}; it has {', '.join(table.column_names) or 'none'}. "
            f"Expected uri (or path) and any of {', '.join(field for field in FIELDS if field != 'name')}"
        )
    for name in (key, *wanted.values()):
        if names.count(name) > 1:
            twice = [there for there in table.column_names if there.strip().casefold() == name]
            raise CorpusError(
                f"{path} has the column {name!r} {len(twice)} times ({', '.join(map(repr, twice))}); expected it "
                "once: rename or remove the others"
            )
    if not table.num_rows:
        raise CorpusError(f"{path} lists no pictures")
    uris = _texts(table.column(names.index(key)), key, path)
    if None in uris:
        raise CorpusError(f"{path}: row {uris.index(None) + 1} has an empty {key}")
    fields = {
        field: _texts(table.column(names.index(name)), name, path) for field, name in wanted.items()
    }
    return [uri for uri in uris if uri is not None], fields


def split_manifest(path: str) -> tuple[str, str] | None:
    """(root, manifest) if `path` is itself a manifest, whose paths are relative to its folder; else None."""
    if not _name(path).endswith(MANIFEST_SUFFIXES):
        return None
    if not is_local(path):
        return parent(path), path
    folder, slash, _ = path.rpartition("/")
    return folder or slash or ".", path


def _name(path: str) -> str:
    """In lower case, and without the options that an address may have at its end."""
    return (path if is_local(path) else path.partition("?")[0]).lower()


def _read(path: str) -> pa.Table:
    if not _name(path).endswith(MANIFEST_SUFFIXES):
        raise CorpusError(f"manifest {path} is not one of {', '.join(MANIFEST_SUFFIXES)}")
    filesystem, inner = resolve(path)
    try:
        if _name(path).endswith(".parquet"):
            with filesystem.open_input_file(inner) as file:
                table = pq.ParquetFile(file).read()
            table.validate(full=True)  # text in a damaged file may not be UTF-8
            return table
        with filesystem.open_input_stream(inner) as stream:
            # As text, so that a person "0002" keeps its zeros until all are known to be numbers.
            data = stream.read()
        header = pa_csv.open_csv(pa.BufferReader(data)).schema.names
        texts = pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header},
            null_values=[""],
            strings_can_be_null=True,
        )
        quotes = pa_csv.ParseOptions(newlines_in_values=True)
        return pa_csv.read_csv(pa.BufferReader(data), parse_options=quotes, convert_options=texts)
    except FileNotFoundError as error:
        raise CorpusError(f"there is no manifest {path}") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise CorpusError(
            f"cannot read the manifest {path}: {said}; expected Parquet, or CSV in UTF-8"
        ) from error


def _texts(column: pa.ChunkedArray, name: str, path: str) -> list[str | None]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_floating(kind):
        return _whole(column, name, path)
    tests = ("string", "large_string", "string_view", "integer", "boolean", "decimal", "null")
    if not any(getattr(pa.types, f"is_{test}")(kind) for test in tests):
        raise CorpusError(f"{path}: column {name} holds {kind}; expected text or whole numbers")
    return [None if value is None or value == "" else str(value) for value in column.to_pylist()]


def _whole(column: pa.ChunkedArray, name: str, path: str) -> list[str | None]:
    """Floats as text: pandas writes a column of integers with gaps so."""
    exact = 2 ** (np.finfo(column.type.to_pandas_dtype()).nmant + 1)
    texts: list[str | None] = []
    for value in column.to_pylist():
        if value is not None and abs(value) > exact and value.is_integer():
            raise CorpusError(
                f"{path}: column {name} holds {value:.0f} as {column.type}, which skips whole numbers beyond "
                f"{exact}, so that two may have become one; write the column as integers or as text"
            )
        whole = value is not None and value.is_integer()
        texts.append(
            None if value is None or value != value else str(int(value) if whole else value)
        )
    return texts
