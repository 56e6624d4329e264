"""The place that a corpus is written to: one ingest at a time, all or nothing."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import fs

from itkm_core.corpus.schema import CORPUS_FILE, IDENTITIES_FILE, REJECTED_FILE, Corpus
from itkm_core.corpus.writer import shard_name
from itkm_core.errors import CorpusError, StorageError
from itkm_core.storage.locks import exclusive, node_lock
from itkm_core.storage.paths import exists, is_local, join, resolve


@dataclass(frozen=True)
class CorpusPlace:
    """The place of one corpus; `root` is an absolute folder or a URI."""

    root: str

    @classmethod
    @contextmanager
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
        entries = filesystem.get_file_info(fs.FileSelector(inner, allow_not_found=True))
        # An object store has no rename: what a killed ingest left there has the final names.
        ours = () if is_local(self.root) else ("shards", IDENTITIES_FILE, REJECTED_FILE)
        strangers = [entry.base_name for entry in entries if entry.base_name not in ours]
        if strangers:
            raise CorpusError(
                f"{self.root} is not a corpus, and not empty (it holds {strangers[0]!r}); give a new or "
                "empty folder for --out"
            )
        return None

    @contextmanager
    def all_or_nothing(self) -> Iterator[str]:
        """A root to write to, which becomes this place on success; after an error nothing of it is left.

        Raises:
            StorageError: the place cannot be written.
        """
        try:
            if is_local(self.root):
                yield from self._renamed()
            else:
                yield from self._cleaned()
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

    def _renamed(self) -> Iterator[str]:
        parent, name = os.path.split(self.root)
        # Remove what killed ingests left; the lock says that none is alive. Every ingest has its own name,
        # so that a worker which outlives an earlier one cannot write into this one.
        for left in glob.glob(os.path.join(glob.escape(parent), f".{glob.escape(name)}.*.partial")):
            shutil.rmtree(left, ignore_errors=True)
        partial = os.path.join(parent, f".{name}.{uuid.uuid4().hex[:8]}.partial")
        os.makedirs(partial)
        try:
            yield partial
            os.rename(partial, self.root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _cleaned(self) -> Iterator[str]:
        filesystem, inner = resolve(self.root)
        filesystem.delete_dir_contents(inner, missing_dir_ok=True)
        try:
            yield self.root
        except BaseException:
            filesystem.delete_dir_contents(inner, missing_dir_ok=True)
            raise
