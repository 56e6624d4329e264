"""Places: a local folder, or any URI that pyarrow.fs understands (s3://, gs://, file://, ...).

An address carries its options in the query part, such as
`s3://bucket/folder?endpoint_override=minio:9000&scheme=http`. Addresses are printed and kept in a run's
files, so one that holds a password or a key is refused.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from itkm_core.errors import StorageError
from itkm_core.storage.atomic import replacing
from itkm_core.storage.object_store import connect, patiently

_BUCKETS = ("s3", "gs", "gcs")  # whose paths are bucket/key
_SECRET = re.compile(r"key|secret|token|passw|signature|^sig$", re.IGNORECASE)


def is_local(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is on this machine's own file system."""
    text = os.fspath(path)
    return "://" not in text or text.startswith("file://")


def resolve(path: str | os.PathLike[str]) -> tuple[fs.FileSystem, str]:
    """The file system of `path` and the path inside it.

    A plain path is made absolute, with `~` expanded. Anything with `://` goes to pyarrow.fs, which
    finds credentials as the storage's own tools do.

    Raises:
        StorageError: the URI has an unknown scheme or a secret in it, names no bucket, or its file
            system cannot be set up; or the name is none that UTF-8 can write.
    """
    text = os.fspath(path)
    shown = text.encode("utf-8", "backslashreplace").decode()
    if shown != text or "\0" in text:
        raise StorageError(
            f"the path {shown!r} is not UTF-8, or has a NUL in it; expected one that can be written in UTF-8"
        )
    if "://" not in text:
        return fs.LocalFileSystem(), absolute(text)
    refuse_secrets(text)
    address, mark, query = text.partition("?")
    scheme, _, rest = address.partition("://")
    try:
        if scheme in _BUCKETS:
            bucket, _, key = rest.partition("/")
            filesystem = connect(f"{scheme}://{bucket}{mark}{query}")
            inner = f"{bucket.rpartition('@')[2]}/{unquote(key)}" if bucket else ""
        else:
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


def absolute(path: str | os.PathLike[str]) -> str:
    """A path of this machine's as an absolute one, `~` (the home folder) and links in it resolved no further.

    Raises:
        StorageError: it is empty, or of a `~user` that this machine does not know.
    """
    text = os.fspath(path)
    if not text.strip():
        raise StorageError(
            "a path is empty, perhaps from a variable that is not set; expected a folder or file"
        )
    found = os.path.expanduser(text)
    if found == text and text.startswith("~"):
        raise StorageError(
            f"{text!r}: there is no such user; to name a folder like this, write ./{text}"
        )
    return os.path.abspath(found)


def local_folder(path: str | os.PathLike[str]) -> Path:
    """A folder of this machine's, also as file://. Raises StorageError for any other address."""
    if not is_local(path):
        raise StorageError(f"{os.fspath(path)} is not on this machine; expected a local folder")
    return Path(resolve(path)[1])


def refuse_secrets(path: str | os.PathLike[str]) -> None:
    """Raises StorageError, without repeating it, for an address that holds a password or a key."""
    address, _, query = os.fspath(path).partition("?")
    scheme, mark, rest = address.partition("://")
    if not mark:
        return
    owner, at, place = rest.rpartition("@")
    keyed = at and scheme == "s3" and "/" not in owner
    # Azure names a container, and Google `anonymous`, in front of the @; S3 has keys there.
    found = "a password" if ":" in owner else "an access key" if keyed else ""
    for option in query.split("&"):
        name = unquote(option.partition("=")[0])
        if _SECRET.search(name):
            found = f"the option {name}"
    if found:
        raise StorageError(
            f"the address {scheme}://{'…@' if at else ''}{place} has {found} in it, and addresses are printed and "
            "kept in files: leave it out. Credentials come from the environment (AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS), the storage's own files, or the machine's role"
        )


def join(path: str | os.PathLike[str], *parts: str) -> str:
    """`path` joined with `parts`, names of files or folders; a URI's query part stays at the end.

    A `%` in a name is written `%25` in a URI, which `resolve` reads back.
    """
    text = os.fspath(path)
    if "://" not in text:
        return os.path.join(text, *parts)
    base, mark, query = text.partition("?")
    escaped = [part.replace("%", "%25").replace("?", "%3F") for part in parts]
    return posixpath.join(base, *escaped) + mark + query


def parent(path: str | os.PathLike[str]) -> str:
    """The folder that contains `path`."""
    base, mark, query = os.fspath(path).partition("?") if not is_local(path) else (path, "", "")
    return posixpath.dirname(os.fspath(base).rstrip("/")) + mark + query


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The contents of one file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
    """
    filesystem, inner = resolve(path)

    def read() -> bytes:
        with filesystem.open_input_stream(inner, compression=None) as stream:
            return bytes(stream.read())

    return patiently(read)


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write one file, whole or not at all; a local folder is made where there is none.

    An object store shows an object only once it is complete.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be written.
    """
    filesystem, inner = resolve(path)
    if not isinstance(filesystem, fs.LocalFileSystem):
        with filesystem.open_output_stream(inner, compression=None) as stream:
            stream.write(data)
        return
    os.makedirs(os.path.dirname(inner), exist_ok=True)
    with replacing(inner) as partial, open(partial, "wb") as file:
        file.write(data)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or folder."""
    filesystem, inner = resolve(path)
    return bool(filesystem.get_file_info(inner).type != fs.FileType.NotFound)
