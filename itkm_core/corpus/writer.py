"""Writes a corpus, one file at a time; the caller decides where and in which order.

`accepted` tables have ACCEPTED_SCHEMA: one row a picture, in the order of their sample ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.corpus.digest import DIGEST_BYTES, table_digest
from itkm_core.corpus.images import Encoded
from itkm_core.corpus.schema import (
    CORPUS_FILE,
    CORPUS_SCHEMA,
    DRAWS_FILE,
    IDENTITIES_FILE,
    IDENTITY_SCHEMA,
    INDEX_COLUMNS,
    LISTING_SCHEMA,
    REJECTED_FILE,
    SCHEMA_VERSION,
    TRACKS_FILE,
    UNKNOWN,
    without_unknown_tracks,
)
from itkm_core.storage.paths import is_local, join, resolve, write_bytes

ROW_GROUP_ROWS = 1000
ROW_GROUP_BYTES = 16 * 1024 * 1024

ACCEPTED_SCHEMA = pa.schema(
    [
        *LISTING_SCHEMA,
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("num_bytes", pa.int64()),
        ("digest", pa.binary(DIGEST_BYTES)),
    ]
)


def plan_shards(num_bytes: np.ndarray, shard_bytes: int) -> list[tuple[int, int]]:
    """Row ranges [start, stop) whose pictures together have at most `shard_bytes`, or are one picture.

    num_bytes: int64 [N], encoded size of each picture.
    """
    return _ranges(num_bytes, shard_bytes, len(num_bytes))


def shard_name(shard: int) -> str:
    """Path of a shard below the corpus' root."""
    return f"shards/part-{shard:05d}.parquet"


def write_shard(
    root: str, shard: int, first_id: int, rows: pa.Table, images: Iterable[Encoded]
) -> None:
    """Write one shard; pictures are taken from `images` as they are needed, a row group at a time.

    rows: ACCEPTED_SCHEMA, this shard's. images: as many encoded pictures, in the same order.
    """
    filesystem, path = resolve(join(root, shard_name(shard)))
    if is_local(root):  # an object store has no folders, and making one needs more rights
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    source = iter(images)
    with pq.ParquetWriter(
        path,
        CORPUS_SCHEMA,
        filesystem=filesystem,
        # Pictures are compressed already; their bytes make no useful dictionary or statistics either.
        compression={name: "none" if name == "image" else "zstd" for name in CORPUS_SCHEMA.names},
        use_dictionary=["scenario", "split"],
        write_statistics=list(INDEX_COLUMNS),
    ) as writer:
        for start, stop in _ranges(rows["num_bytes"].to_numpy(), ROW_GROUP_BYTES, ROW_GROUP_ROWS):
            part = rows.slice(start, stop - start)
            columns = {name: part[name] for name in INDEX_COLUMNS if name != "sample_id"}
            columns["sample_id"] = pa.array(range(first_id + start, first_id + stop), pa.int64())
            batch = list(islice(source, stop - start))
            assert len(batch) == stop - start, "fewer pictures than rows"
            columns["image"] = pa.array(batch, pa.binary())
            writer.write_table(pa.table(columns).select(CORPUS_SCHEMA.names).cast(CORPUS_SCHEMA))


def corpus_digest(accepted: pa.Table, shards: Sequence[tuple[int, int]], rejected: pa.Table) -> str:
    """Digest of a corpus' contents, known before any of it is written. What decoders say of bad pictures is left out:
    it changes with their versions."""
    bounds = pa.table({"start": [a for a, _ in shards], "stop": [b for _, b in shards]})
    return table_digest(without_unknown_tracks(accepted), bounds, rejected.drop_columns("detail"))


def finish_corpus(
    root: str,
    accepted: pa.Table,
    shards: Sequence[tuple[int, int]],
    rejected: pa.Table,
    tracks: pa.Table | None = None,
    draws: pa.Table | None = None,
    **provenance: Any,
) -> None:
    """Write everything but the shards, corpus.json last: with it the corpus is complete.

    tracks: TRACKS_SCHEMA, if crops were cut from videos. draws: DRAWS_SCHEMA, if there are published ones.
    provenance: further entries of corpus.json, such as the parameters of the ingest.
    """
    has_identities = knows_people(accepted)
    if has_identities:
        ids = pa.array(np.arange(accepted.num_rows), pa.int64())
        people = accepted.select(["person", "clothes"]).add_column(0, "sample_id", ids)
        _write_table(join(root, IDENTITIES_FILE), people.cast(IDENTITY_SCHEMA))
    _write_table(join(root, REJECTED_FILE), rejected)
    if tracks is not None:
        _write_table(join(root, TRACKS_FILE), tracks)
    if draws is not None:
        _write_table(join(root, DRAWS_FILE), draws)
    sizes = accepted["num_bytes"].to_numpy()
    record = {
        "schema_version": SCHEMA_VERSION,
        "num_images": accepted.num_rows,
        "digest": corpus_digest(accepted, shards, rejected),
        "counts": _counts(accepted),
        "has_identities": has_identities,
        "has_tracklets": bool((accepted["tracklet"].to_numpy() != UNKNOWN).any()),
        "num_rejected": count_values(rejected["reason"]),
        "shards": [
            {
                "path": shard_name(shard),
                "num_rows": stop - start,
                "num_image_bytes": int(sizes[start:stop].sum()),
            }
            for shard, (start, stop) in enumerate(shards)
        ],
        **provenance,
    }
    write_bytes(join(root, CORPUS_FILE), json.dumps(record, indent=1).encode() + b"\n")


def knows_people(rows: pa.Table) -> bool:
    """Whether any row has a person or clothes id."""
    return any((rows[name].to_numpy() != UNKNOWN).any() for name in ("person", "clothes"))


def count_values(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs, most frequent first."""
    counts = {row["values"]: row["counts"] for row in column.value_counts().to_pylist()}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _counts(accepted: pa.Table) -> list[dict[str, Any]]:
    keys = ["scenario", "group", "split"]
    counts = accepted.group_by(keys).aggregate([("uri", "count")]).select([*keys, "uri_count"])
    counts = counts.rename_columns([*keys, "num_images"])
    return counts.sort_by([(key, "ascending") for key in keys]).to_pylist()


def _ranges(num_bytes: np.ndarray, max_bytes: int, max_rows: int) -> list[tuple[int, int]]:
    ranges, start, total = [], 0, 0
    for row, size in enumerate(num_bytes.tolist()):
        if row > start and (total + size > max_bytes or row - start >= max_rows):
            ranges.append((start, row))
            start, total = row, 0
        total += size
    if start < len(num_bytes):
        ranges.append((start, len(num_bytes)))
    return ranges


def _write_table(path: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())
