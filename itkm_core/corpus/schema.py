"""The corpus on disk: its columns, and `Corpus`, the handle that reads what is not pixels.

corpus.json            what is in it; written last, so a folder without it is not a corpus
shards/part-*.parquet  CORPUS_SCHEMA, sample ids dense and ascending through the shards
identities.parquet     IDENTITY_SCHEMA, if the source knows who is who; for evaluation and checks only
rejected.parquet       REJECTED_SCHEMA, pictures that were rejected
draws.parquet          DRAWS_SCHEMA, if a collection comes with the draws of its protocol; for evaluation only
tracks.parquet         TRACKS_SCHEMA, if crops were cut from videos: which tracker's file and id a tracklet comes from
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.corpus.record import check_record
from itkm_core.errors import ConfigError, CorpusError, StorageError, shortened
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import exists, is_local, join, read_bytes, resolve

SCHEMA_VERSION = 2
READABLE = (1, 2)  # version 1 has no TRACK_COLUMNS
SPLITS = ("train", "query", "gallery")
CORPUS_FILE = "corpus.json"
IDENTITIES_FILE = "identities.parquet"
REJECTED_FILE = "rejected.parquet"
DRAWS_FILE = "draws.parquet"
TRACKS_FILE = "tracks.parquet"

UNKNOWN = -1
DISTRACTOR = 0

CORPUS_SCHEMA = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("image", pa.binary()),
        ("uri", pa.string()),
        ("scenario", pa.string()),
        ("group", pa.int8()),
        ("camera", pa.int32()),
        ("tracklet", pa.int64()),
        ("frame", pa.int64()),
        ("split", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
    ]
)
"""One row per picture. `uri` is relative to the source's root and unique within a scenario.

tracklet: -1 unknown; the pictures of one (scenario, group, camera, tracklet) are of one person, by a tracker.
frame: -1 unknown; the order in time within a camera, and pictures of one frame show what was there at one moment."""

TRACK_COLUMNS = ("tracklet", "frame")

INDEX_COLUMNS = tuple(name for name in CORPUS_SCHEMA.names if name != "image")

IDENTITY_SCHEMA = pa.schema(
    [("sample_id", pa.int64()), ("person", pa.int64()), ("clothes", pa.int64())]
)
"""person: -1 unknown or junk, 0 distractor; ids are compared only within a scenario.

clothes: -1 unknown."""

LISTING_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("scenario", pa.string()),
        ("group", pa.int8()),
        ("camera", pa.int32()),
        ("tracklet", pa.int64()),
        ("frame", pa.int64()),
        ("split", pa.string()),
        ("person", pa.int64()),
        ("clothes", pa.int64()),
    ]
)
"""What a collection reader yields, sorted by uri, before any id.

group -1: decided by resolution when the pictures are read."""

REJECTED_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("scenario", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""scenario: empty if unknown. detail: what the decoder said, or an empty text; not part of the corpus' digest."""

DRAWS_SCHEMA = pa.schema([("sample_id", pa.int64()), ("draw", pa.int16()), ("place", pa.int16())])
"""The draws of a protocol as the authors of a collection publish them: in draw `draw`, 0-based, this picture is number
`place`, 0-based, of those of its person and camera; a gallery of n shots takes the places below n."""

TRACKS_SCHEMA = pa.schema(
    [
        ("scenario", pa.string()),
        ("group", pa.int8()),
        ("camera", pa.int32()),
        ("tracklet", pa.int64()),
        ("tracks", pa.string()),
        ("tracks_digest", pa.string()),
        ("video", pa.string()),
        ("start", pa.float64()),
        ("id", pa.int64()),
        ("first_frame", pa.int64()),
        ("last_frame", pa.int64()),
        ("frame_offset", pa.int64()),
    ]
)
"""A row a tracklet of a tracker's file, sorted by scenario, camera and tracklet; some have no picture in the corpus.

tracks, video: absolute paths or URIs. tracks_digest: hex, `image_digest` of the file. start: seconds, null unknown.
id, first_frame, last_frame: as in the tracker's file; a box of it belongs to the tracklet with its id whose frames
include its own. frame_offset: what is added to such a frame's number to get the corpus' `frame`."""


@dataclass(frozen=True)
class Corpus:
    """A finished corpus. Immutable, and small enough to send to any worker.

    root: folder or URI. scenarios: sorted names; a scenario's index is its place here.
    counts: (scenario, group, split) -> pictures. digest: hex, over every picture and every column.
    shards: paths below root. shard_rows: pictures in each; shard k starts at sum(shard_rows[:k]).
    has_tracklets: whether any picture's tracklet is known.
    record: corpus.json as it is, for provenance (parameters, rejected pictures per reason).
    """

    root: str
    num_images: int
    scenarios: tuple[str, ...]
    counts: dict[tuple[str, int, str], int]
    digest: str
    shards: list[str]
    shard_rows: list[int]
    has_identities: bool = False
    has_tracklets: bool = False
    record: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """The corpus at `path`, a folder or any URI of pyarrow.fs.

        Raises:
            CorpusError: there is none, it has another schema version, or its corpus.json is damaged or names
                files outside it.
            StorageError: the place cannot be read.
        """
        root = resolve(path)[1] if is_local(path) else os.fspath(path)
        try:
            record = json.loads(read_bytes(join(root, CORPUS_FILE)))
        except FileNotFoundError as error:
            raise CorpusError(
                f"no corpus at {root}: {CORPUS_FILE} is not there; make one with "
                "`itkm ingest --as folder PICTURES --out CORPUS`"
            ) from error
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{join(root, CORPUS_FILE)} is not JSON: {error}") from error
        except OSError as error:
            raise StorageError(f"cannot read {join(root, CORPUS_FILE)}: {error}") from error
        version = record.get("schema_version") if isinstance(record, dict) else None
        if version not in READABLE:
            raise CorpusError(
                f"the corpus at {root} has schema version {version}, this itkm reads "
                f"{' and '.join(map(str, READABLE))}: ingest it again, or use the itkm that made it"
            )
        check_record(record, root, SPLITS)
        return cls(
            root=root,
            num_images=record["num_images"],
            scenarios=tuple(sorted({row["scenario"] for row in record["counts"]})),
            counts=_counts(record["counts"]),
            digest=record["digest"],
            shards=[shard["path"] for shard in record["shards"]],
            shard_rows=[shard["num_rows"] for shard in record["shards"]],
            has_identities=record["has_identities"],
            has_tracklets=record.get("has_tracklets", False),
            record=record,
        )

    def collections(self) -> dict[str, dict[str, Any]]:
        """By scenario, the public collection it comes from: its `collection`, `variant`, `protocol` and `counts`."""
        return {each["scenario"]: each for each in self.record.get("collections", [])}

    @property
    def in_other_clothes(self) -> frozenset[tuple[str, int]]:
        """The (scenario, group) pairs whose pictures are those of the other group, seen in other clothes."""
        return frozenset(
            (each["scenario"], each["group"]) for each in self.record.get("derived", [])
        )

    def groups(self, split: str = "train") -> list[tuple[str, int]]:
        """The (scenario, group) pairs that have pictures in `split`, sorted."""
        return sorted((s, g) for (s, g, part), n in self.counts.items() if part == split and n)

    def shard_paths(self) -> list[str]:
        """The shards' full paths or URIs, in the order of their sample ids."""
        return [join(self.root, shard) for shard in self.shards]

    def index(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows without the pictures, sorted by sample_id; `columns` limits what is read.

        Raises:
            CorpusError: no such column, or shards that do not match corpus.json.
        """
        wanted = list(INDEX_COLUMNS if columns is None else columns)
        unknown = [name for name in wanted if name not in INDEX_COLUMNS]
        if unknown:
            raise CorpusError(f"no column {unknown[0]!r} in a corpus index; it has {INDEX_COLUMNS}")
        read = list(dict.fromkeys(["sample_id", *wanted]))
        version = self.record.get("schema_version", SCHEMA_VERSION)
        kept = [name for name in read if version > 1 or name not in TRACK_COLUMNS]
        table = with_track_columns(pa.concat_tables([self._read(s, kept) for s in self.shards]))
        if not np.array_equal(table["sample_id"].to_numpy(), np.arange(self.num_images)):
            raise CorpusError(
                f"the shards at {self.root} do not hold the sample ids 0..{self.num_images - 1} in "
                "order: the corpus is damaged, ingest it again"
            )
        return table.select(wanted).combine_chunks()

    def identities(self) -> pa.Table | None:
        """Who is who (IDENTITY_SCHEMA, sorted by sample_id), or None. For evaluation and checks only."""
        if not self.has_identities:
            return None
        return self._read(IDENTITIES_FILE, IDENTITY_SCHEMA.names).sort_by("sample_id")

    def rejected(self) -> pa.Table:
        """The pictures that ingest rejected, with the reason (REJECTED_SCHEMA)."""
        table = self._read(REJECTED_FILE, None)
        if "detail" not in table.column_names:  # a corpus from before it was kept
            table = table.append_column("detail", pa.array([""] * table.num_rows, pa.string()))
        try:
            return table.select(REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA)
        except (KeyError, ValueError) as error:
            raise CorpusError(
                f"{REJECTED_FILE} of the corpus at {self.root} is damaged ({error}): ingest the corpus again"
            ) from error

    def draws(self) -> pa.Table | None:
        """The published draws of the collections' protocols (DRAWS_SCHEMA), or None if none has any."""
        if not exists(join(self.root, DRAWS_FILE)):
            return None
        return self._read(DRAWS_FILE, DRAWS_SCHEMA.names)

    def tracks(self) -> pa.Table | None:
        """Where tracklets come from (TRACKS_SCHEMA), or None if no crop was cut from a video."""
        if not exists(join(self.root, TRACKS_FILE)):
            return None
        table = self._read(TRACKS_FILE, None)
        try:
            return table.select(TRACKS_SCHEMA.names).cast(TRACKS_SCHEMA)
        except (KeyError, ValueError) as error:
            raise CorpusError(
                f"{TRACKS_FILE} of the corpus at {self.root} is damaged ({error}): ingest the corpus again"
            ) from error

    def _read(self, relative: str, columns: list[str] | None) -> pa.Table:
        filesystem, path = resolve(join(self.root, relative))
        try:
            return patiently(
                lambda: pq.read_table(
                    path, columns=columns, filesystem=filesystem, partitioning=None
                )
            )
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            hint = "" if exists(join(self.root, relative)) else " (it is not there)"
            raise CorpusError(
                f"cannot read {relative} of the corpus at {self.root}{hint}: {shortened(error)}"
            ) from error


def _counts(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, int, str], int]:
    counts: dict[tuple[str, int, str], int] = {}
    for row in rows:
        key = (row["scenario"], row["group"], row["split"])
        counts[key] = counts.get(key, 0) + row["num_images"]
    return counts


def with_track_columns(table: pa.Table) -> pa.Table:
    """The table with each of TRACK_COLUMNS that it lacks, all unknown."""
    for name in TRACK_COLUMNS:
        if name not in table.column_names:
            unknown = pa.array(np.full(table.num_rows, UNKNOWN, np.int64))
            table = table.append_column(name, unknown)
    return table


def without_unknown_tracks(table: pa.Table) -> pa.Table:
    """The table without those of TRACK_COLUMNS that are all unknown: its digest is that of a version 1 corpus."""
    unknown = [
        name
        for name in TRACK_COLUMNS
        if name in table.column_names and (table[name].to_numpy() == UNKNOWN).all()
    ]
    return table.drop_columns(unknown)


def train_ids(corpus: Corpus, scenario: str, group: int) -> np.ndarray:
    """Sample ids of a group's training images, ascending."""
    index = corpus.index(["sample_id", "scenario", "group", "split"])
    mask = (
        (index["scenario"].to_numpy(zero_copy_only=False) == scenario)
        & (index["group"].to_numpy() == group)
        & (index["split"].to_numpy(zero_copy_only=False) == "train")
    )
    return np.asarray(index["sample_id"].to_numpy()[mask], np.int64)


def cameras_of(corpus: Corpus, ids: np.ndarray) -> np.ndarray:
    """The camera of each image, int32 [len(ids)]."""
    index = corpus.index(["sample_id", "camera"])
    rows = np.searchsorted(index["sample_id"].to_numpy(), ids)
    return np.asarray(index["camera"].to_numpy()[rows])


def narrow(corpus: Corpus, only: Sequence[str]) -> Corpus:
    """The corpus restricted to these scenarios; all of them if `only` is empty.

    Sample ids, shards and digest stay those of the whole corpus; only counts and scenario numbers change.

    Raises:
        ConfigError: the corpus has no such scenario.
    """
    unknown = sorted(set(only) - set(corpus.scenarios))
    if unknown:
        raise ConfigError(
            f"only names {', '.join(unknown)}, but the corpus at {corpus.root} has the scenarios "
            f"{', '.join(corpus.scenarios)}"
        )
    if not only:
        return corpus
    return replace(
        corpus,
        scenarios=tuple(name for name in corpus.scenarios if name in only),
        counts={key: number for key, number in corpus.counts.items() if key[0] in only},
    )
