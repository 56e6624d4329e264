"""Random access to a corpus' pictures, from memory-mapped Arrow files on this node.

A Parquet shard is made to be read from start to end, and training reads pictures in any order. So each
shard is copied once per node to an uncompressed Arrow IPC file and mapped into memory: a picture is then
a slice of the map, and the node's workers share the kernel's page cache.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, StorageError
from itkm_core.storage.atomic import replacing
from itkm_core.storage.locks import exclusive
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import resolve

_CACHE_SCHEMA = pa.schema([("sample_id", pa.int64()), ("image", pa.binary())])


def default_cache_dir() -> str:
    """$ITKM_CACHE, else ~/.cache/itkm."""
    return os.environ.get("ITKM_CACHE") or os.path.expanduser("~/.cache/itkm")


class CorpusStore:
    """The pictures of `corpus` by sample_id.

    Copies live in `cache_dir`/<digest>/part-00000.arrow ($ITKM_CACHE or ~/.cache/itkm by default),
    are made when a shard is first needed, and may be deleted while no process uses them. Any number of
    processes may copy and read at the same time: a copy gets its name once it is complete.

    A store is cheap to send to another process, which maps the files again.
    """

    def __init__(self, corpus: Corpus, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self.corpus = corpus
        self.cache_dir = os.path.abspath(
            os.path.expanduser(os.fspath(cache_dir or default_cache_dir()))
        )
        self._first_ids = np.concatenate([[0], np.cumsum(corpus.shard_rows, dtype=np.int64)])
        self._mapped: dict[int, _MappedShard] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_mapped": {}}

    def __len__(self) -> int:
        return self.corpus.num_images

    def images(self, sample_ids: Sequence[int] | np.ndarray) -> list[memoryview]:
        """The encoded pictures of `sample_ids` int64 [N], in that order, as read-only views.

        Raises:
            CorpusError: an id outside 0..num_images-1, or a damaged shard.
            StorageError: the cache cannot be written.
        """
        ids = np.asarray(sample_ids, dtype=np.int64).reshape(-1)
        if ids.size and (ids.min() < 0 or ids.max() >= self.corpus.num_images):
            wrong = ids[(ids < 0) | (ids >= self.corpus.num_images)][0]
            raise CorpusError(
                f"sample_id {wrong} is not in the corpus at {self.corpus.root}, "
                f"which has 0..{self.corpus.num_images - 1}"
            )
        shards = np.searchsorted(self._first_ids, ids, side="right") - 1
        rows = ids - self._first_ids[shards]
        return [
            self._shard(shard)[row]
            for shard, row in zip(shards.tolist(), rows.tolist(), strict=True)
        ]

    def _shard(self, shard: int) -> _MappedShard:
        mapped = self._mapped.get(shard)
        if mapped is None:
            mapped = self._mapped[shard] = self._map(shard)
        return mapped

    def _map(self, shard: int) -> _MappedShard:
        path = os.path.join(self.cache_dir, self.corpus.digest, f"part-{shard:05d}.arrow")
        num_rows = self.corpus.shard_rows[shard]
        if (mapped := _open_copy(path, num_rows)) is not None:
            return mapped
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # The workers of a node start together: one copies, the others wait for its copy.
            with exclusive(f"{path}.lock"):
                if (mapped := _open_copy(path, num_rows)) is not None:
                    return mapped
                self._copy(shard, path)
        except OSError as error:
            raise StorageError(
                f"cannot write the corpus cache {path}: {error}; it needs about "
                "the size of the corpus: point ITKM_CACHE at a disk of this node with room for it"
            ) from error
        mapped = _open_copy(path, num_rows)
        assert mapped is not None, path
        return mapped

    def _copy(self, shard: int, path: str) -> None:
        with (
            replacing(path) as partial,
            pa.OSFile(partial, "wb") as sink,
            pa.ipc.new_file(sink, _CACHE_SCHEMA) as writer,
        ):
            for table in self._read(shard):
                writer.write_table(table)

    def _read(self, shard: int) -> Iterator[pa.Table]:
        """The row groups of a shard, counted."""
        num_rows = 0
        what = f"shard {self.corpus.shards[shard]} of the corpus at {self.corpus.root}"
        try:
            filesystem, source = resolve(self.corpus.shard_paths()[shard])
            with filesystem.open_input_file(source) as stream:
                reader = pq.ParquetFile(stream)
                for group in range(reader.num_row_groups):
                    table = patiently(partial(reader.read_row_group, group, _CACHE_SCHEMA.names))
                    num_rows += table.num_rows
                    yield table.select(_CACHE_SCHEMA.names).cast(_CACHE_SCHEMA)
        except (pa.ArrowException, KeyError, OSError, UnicodeDecodeError) as error:
            raise CorpusError(
                f"cannot read {what}: {error}; if it is damaged, ingest the corpus again"
            ) from error
        if num_rows != self.corpus.shard_rows[shard]:
            raise CorpusError(
                f"{what} holds {num_rows} rows, corpus.json says {self.corpus.shard_rows[shard]}: "
                "ingest the corpus again"
            )


class _MappedShard:
    """The pictures of one shard as views of its memory-mapped copy."""

    def __init__(self, table: pa.Table) -> None:
        self._data: list[memoryview] = []
        self._offsets: list[np.ndarray] = []
        for chunk in table["image"].chunks:
            _, offsets, data = chunk.buffers()
            window = np.frombuffer(offsets, dtype=np.int32)[chunk.offset :][: len(chunk) + 1]
            self._offsets.append(window)
            self._data.append(memoryview(data if data is not None else b"").cast("B"))
        self._first_rows = np.cumsum([0] + [len(chunk) for chunk in table["image"].chunks])

    def __getitem__(self, row: int) -> memoryview:
        chunk = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        offsets = self._offsets[chunk]
        row -= int(self._first_rows[chunk])
        return self._data[chunk][offsets[row] : offsets[row + 1]]


def _open_copy(path: str, num_rows: int) -> _MappedShard | None:
    """Map a finished copy; None if there is none, or if it is not complete."""
    try:
        table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        warnings.warn(f"{path} is damaged and is copied again: {error}", stacklevel=2)
        return None
    if table.num_rows != num_rows:
        return None
    return _MappedShard(table)
