"""The place that a corpus is written to: one ingest at a time, all or nothing."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import fs

from itkm_core.corpus.schema import (
    CORPUS_FILE,
    DRAWS_FILE,
    IDENTITIES_FILE,
    REJECTED_FILE,
    TRACKS_FILE,
    Corpus,
)
from itkm_core.corpus.writer import shard_name
from itkm_core.errors import CorpusError, StorageError
from itkm_core.storage.locks import exclusive, node_lock
from itkm_core.storage.paths import exists, is_local, join, resolve, write_bytes
from itkm_core.storage.place import Place

UNFINISHED_FILE = "corpus.unfinished.json"
"""There while a corpus is being written, and after an ingest that was killed."""

_WRITTEN = (
    UNFINISHED_FILE,
    os.path.dirname(shard_name(0)),
    IDENTITIES_FILE,
    REJECTED_FILE,
    TRACKS_FILE,
    DRAWS_FILE,
    CORPUS_FILE,
)


@dataclass(frozen=True)
class CorpusPlace:
    """The place of one corpus; `root` is an absolute folder or a URI."""

    root: str

    @classmethod
    @contextlib.contextmanager
    def locked(cls, out: str | os.PathLike[str]) -> Iterator[CorpusPlace]:
        """The place at `out`, held by this process alone among those of this machine.

        Raises:
            CorpusError: another ingest is writing there.
        """
        root = os.path.realpath(resolve(out)[1]) if is_local(out) else os.fspath(out).rstrip("/")
        with exclusive(node_lock("ingest", root), wait=False) as free:
            if not free:
                raise CorpusError(f"another ingest is writing {root}: wait for it, or stop it")
            yield cls(root)

    def existing(self) -> Corpus | None:
        """The corpus at this place, or None if one can be made here.

        Raises:
            CorpusError: the place holds something else.
        """
        if exists(join(self.root, CORPUS_FILE)):
            return Corpus.open(self.root)
        filesystem, inner = resolve(self.root)
        if filesystem.get_file_info(inner).type == fs.FileType.File:
            raise CorpusError(f"{self.root} is a file; expected a new or empty folder for --out")
        names = Place.at(self.root).names()
        strangers = [name for name in names if not (self._is_unfinished and _is_ours(name))]
        if strangers:
            raise CorpusError(
                f"{self.root} is not a corpus, and not empty (it holds {strangers[0]!r}); give a new or "
                "empty folder for --out"
            )
        return None

    @contextlib.contextmanager
    def all_or_nothing(self, scratch: str | None = None) -> Iterator[str]:
        """A root to write to, whose contents become those of this place on success; an error leaves nothing.

        It is inside the place, which may be a disk of its own. scratch: see `scratch`, if there is one.

        Raises:
            StorageError: the place cannot be written.
        """
        with self._writing():
            yield from self._written(scratch)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder inside the place, so that all nodes share it, for what is needed until the corpus is written.

        Raises:
            StorageError: the place cannot be written.
        """
        new = is_local(self.root) and not os.path.isdir(self.root)
        name = f".{uuid.uuid4().hex[:8]}.partial"
        folder = join(self.root, name)
        with self._writing():
            write_bytes(join(self.root, UNFINISHED_FILE), b"{}\n")
            if is_local(folder):
                os.mkdir(folder)
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError, pa.ArrowException, StorageError):
                self._remove_ours()
                if exists(folder):
                    self._delete(name)
                if new and not os.listdir(self.root):
                    os.rmdir(self.root)

    def try_writing(self) -> None:
        """Write here and leave nothing. Raises StorageError if that fails: better now than with all pictures read."""
        with self._writing():
            new = is_local(self.root) and not os.path.isdir(self.root)
            self._remove_ours()
            write_bytes(join(self.root, UNFINISHED_FILE), b"{}\n")
            self._delete(UNFINISHED_FILE)
            if new:
                os.rmdir(self.root)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"cannot write {self.root}: {error}; check that it is writable and has room"
            ) from error

    def check_shards(self, root: str, num_shards: int) -> None:
        """Raises StorageError if a shard that was written cannot be seen from here."""
        for shard in range(num_shards):
            if not exists(join(root, shard_name(shard))):
                raise StorageError(
                    f"shard {shard} was written to another node's disk: on a cluster --out must be a "
                    f"place that all nodes share (a shared folder, s3:// or gs://), not {self.root}"
                )

    def _written(self, scratch: str | None) -> Iterator[str]:
        local = is_local(self.root)
        new = local and not os.path.isdir(self.root)
        self._remove_ours(scratch)  # what a killed ingest left; the lock says that none is alive
        write_bytes(join(self.root, UNFINISHED_FILE), b"{}\n")
        # Every ingest has its own folder, so that a worker which outlives an earlier one cannot write into this
        # one. An object store cannot rename it, so what is written there has its final name at once.
        root = join(self.root, f".{uuid.uuid4().hex[:8]}.partial") if local else self.root
        try:
            if local:
                os.mkdir(root)
            yield root
            if local:
                for name in sorted(os.listdir(root), key=lambda name: name == CORPUS_FILE):
                    os.rename(os.path.join(root, name), os.path.join(self.root, name))
                os.rmdir(root)
            self._delete(UNFINISHED_FILE)
        except BaseException:
            with contextlib.suppress(OSError, pa.ArrowException, StorageError):
                self._remove_ours()
                if new:
                    os.rmdir(self.root)
            raise

    @property
    def _is_unfinished(self) -> bool:
        return exists(join(self.root, UNFINISHED_FILE))

    def _remove_ours(self, scratch: str | None = None) -> None:
        """Remove what an ingest that did not end has written, if one has, but for `scratch`; the mark of that last."""
        if self._is_unfinished:
            ours = [name for name in Place.at(self.root).names() if _is_ours(name)]
            ours = [name for name in ours if join(self.root, name) != scratch]
            for name in sorted(ours, key=lambda name: name == UNFINISHED_FILE):
                self._delete(name)

    def _delete(self, name: str) -> None:
        filesystem, inner = resolve(join(self.root, name))
        if filesystem.get_file_info(inner).type == fs.FileType.Directory:
            filesystem.delete_dir(inner)
        else:
            filesystem.delete_file(inner)


def _is_ours(name: str) -> bool:
    return name in _WRITTEN or re.fullmatch(r"\.[0-9a-f]{8}\.partial", name) is not None
