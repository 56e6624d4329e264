"""Small files in any place pyarrow.fs can write: a folder, s3://, gs://."""

from __future__ import annotations

import fnmatch
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from itkm_core.errors import StorageError
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import (
    absolute,
    exists,
    is_local,
    join,
    parent,
    read_bytes,
    refuse_secrets,
    resolve,
    write_bytes,
)


@dataclass(frozen=True)
class Place:
    """A folder or file anywhere. Cheap to make, safe to send to a Ray task.

    `uri` is what a user typed: a path on this machine, or an address pyarrow.fs understands with its options
    in the query part. It holds no secrets, so it can be shown and stored.
    """

    uri: str

    @classmethod
    def at(cls, uri: str | os.PathLike[str]) -> Place:
        """A place; a local path is made absolute, since a Ray worker has a different working folder.

        Raises:
            StorageError: the address has a password or a key in it.
        """
        text = os.fspath(uri)
        refuse_secrets(text)
        if "://" not in text:
            return cls(absolute(text))
        base, mark, options = text.partition("?")
        return cls(base.rstrip("/") + mark + options)

    def __truediv__(self, name: str) -> Place:
        return Place(join(self.uri, name))

    @property
    def parent(self) -> Place:
        return Place(parent(self.uri))

    def __str__(self) -> str:
        return self.uri

    @property
    def is_local(self) -> bool:
        return is_local(self.uri)

    def is_same(self, other: Place) -> bool:
        """Whether two addresses name the same folder: through links, or with other options of one store."""
        (fs, path), (their_fs, their_path) = self.resolve(), other.resolve()
        if self.is_local and other.is_local:
            return os.path.realpath(path) == os.path.realpath(their_path)
        return fs.type_name == their_fs.type_name and path == their_path

    def resolve(self) -> tuple[pafs.FileSystem, str]:
        return resolve(self.uri)

    def exists(self) -> bool:
        return exists(self.uri)

    def names(self) -> list[str]:
        """The names in this folder, sorted; none if there is no such folder.

        `lost+found`, which is at the root of a disk of its own, does not count.

        Raises:
            StorageError: it is a file, or cannot be listed.
        """
        fs, path = self.resolve()
        if fs.get_file_info(path).type == pafs.FileType.File:
            raise StorageError(f"{self.uri} is a file; expected a folder")
        try:
            infos = fs.get_file_info(pafs.FileSelector(path, allow_not_found=True))
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"cannot list {self.uri}: {error}") from error
        return sorted({info.base_name for info in infos} - {"lost+found"})

    def files(self, suffix: str = "") -> list[str]:
        """Sorted paths (in the resolved file system) of the files below, at any depth.

        An object store's listing may lag: do not use this to find a file that must be there.
        """
        fs, path = self.resolve()
        infos = fs.get_file_info(pafs.FileSelector(path, recursive=True, allow_not_found=True))
        return sorted(
            info.path
            for info in infos
            if info.type == pafs.FileType.File and info.path.endswith(suffix)
        )

    def clear(self, *ours: str) -> Place:
        """Make this an empty folder, whatever was here before.

        ours: if given, names (`*` stands for any letters) of the files and folders to delete, in this order; what has
            another name stays.
        """
        fs, path = self.resolve()
        with self._writing():
            if ours:
                names = self.names()
                for name in [name for each in ours for name in fnmatch.filter(names, each)]:
                    inner = f"{path}/{name}"
                    folder = fs.get_file_info(inner).type == pafs.FileType.Directory
                    (fs.delete_dir if folder else fs.delete_file)(inner)
            elif fs.get_file_info(path).type != pafs.FileType.NotFound:
                fs.delete_dir(path)
            if self.is_local:  # an object store has no folders, and making one needs more rights
                fs.create_dir(path, recursive=True)
        return self

    def remove(self) -> None:
        """Delete this file, if there is one."""
        if self.exists():
            fs, path = self.resolve()
            fs.delete_file(path)

    def read_bytes(self) -> bytes:
        try:
            return read_bytes(self.uri)
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"cannot read {self.uri}: {error}") from error

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Write this file, whole or not at all; see `paths.write_bytes`.

        Raises:
            StorageError: it cannot be written.
        """
        with self._writing():
            write_bytes(self.uri, data)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"cannot write {self.uri}: {error}; check that the place exists, is writable "
                "and has room"
            ) from error

    def read_json(self) -> Any:
        data = self.read_bytes()
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise StorageError(f"{self.uri} is not JSON ({error}); delete it to redo it") from error

    def write_json(self, value: Any) -> None:
        self.write_bytes(json.dumps(value, indent=1, sort_keys=True).encode() + b"\n")

    def read_array(self) -> np.ndarray:
        """The array in a .npy file; pickled objects are refused."""
        array: np.ndarray = self._numbers()
        return array

    def write_array(self, array: np.ndarray) -> None:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self.write_bytes(buffer.getbuffer())

    def read_arrays(self) -> dict[str, np.ndarray]:
        """The arrays in a .npz file by name; pickled objects are refused."""
        arrays: dict[str, np.ndarray] = self._numbers(dict)
        return arrays

    def _numbers(self, whole: Callable[[Any], Any] = np.asarray) -> Any:
        data = io.BytesIO(self.read_bytes())
        try:
            return whole(np.load(data, allow_pickle=False))
        except Exception as error:  # hostile bytes surface as any of a dozen types
            raise StorageError(
                f"{self.uri} is damaged, or does not hold only numbers ({error}); delete it to redo it"
            ) from error

    def write_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
        self.write_bytes(buffer.getbuffer())

    def read_table(self, **options: Any) -> pa.Table:
        fs, path = self.resolve()
        # One file, whatever `name=value` there is in its path: that is no column.
        table: pa.Table = patiently(
            lambda: pq.read_table(path, filesystem=fs, partitioning=None, **options)
        )
        return table

    def write_table(self, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.write_bytes(sink.getvalue().to_pybytes())
