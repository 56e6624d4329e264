"""Places: a local folder, or any URI that pyarrow.fs understands (s3://, gs://, file://, ...)."""

from __future__ import annotations

import os
import posixpath

import pyarrow as pa
from pyarrow import fs

from itkm_core.errors import StorageError


def is_local(path: str | os.PathLike[str]) -> bool:
    """Whether `path` names a place on this machine's own file system."""
    text = os.fspath(path)
    return "://" not in text or text.startswith("file://")


def resolve(path: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """The file system of `path` and the path inside it.

    A plain path is made absolute (with `~` expanded); anything with `://` goes to pyarrow.fs,
    which finds credentials the way the storage's own tools do. Options ride in the query part, for
    example `s3://bucket/key?endpoint_override=localhost:9000`.

    Raises:
        StorageError: the URI has an unknown scheme, or its file system cannot be set up.
    """
    text = os.fspath(path)
    if "://" not in text:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(text))
    try:
        filesystem, inner = fs.FileSystem.from_uri(text)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise StorageError(
            f"cannot reach {text!r}: {error}; expected a local folder or a URI such as "
            "s3://bucket/folder or gs://bucket/folder"
        ) from error
    inner = inner.rstrip("/")
    if not inner and not is_local(text):
        raise StorageError(f"{text!r} names no bucket; expected a URI such as s3://bucket/folder")
    return filesystem, inner or "/"


def join(path: str | os.PathLike[str], *parts: str) -> str:
    """`path` with `parts` below it, a URI's query part kept at the end."""
    text = os.fspath(path)
    if "://" not in text:
        return os.path.join(text, *parts)
    base, mark, query = text.partition("?")
    return posixpath.join(base, *parts) + mark + query


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole content of one file.

    Raises:
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
    """
    filesystem, inner = resolve(path)
    with filesystem.open_input_stream(inner, compression=None) as stream:
        return bytes(stream.read())


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write one file, all or nothing: a local one through a temporary name beside it.

    The folder is made when it is not there. An object store shows an object when it is complete.
    """
    filesystem, inner = resolve(path)
    if not isinstance(filesystem, fs.LocalFileSystem):
        with filesystem.open_output_stream(inner, compression=None) as stream:
            stream.write(data)
        return
    os.makedirs(os.path.dirname(inner), exist_ok=True)
    partial = f"{inner}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as stream:
            stream.write(data)
        os.replace(partial, inner)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether a file or a folder is there."""
    filesystem, inner = resolve(path)
    return bool(filesystem.get_file_info(inner).type != fs.FileType.NotFound)
