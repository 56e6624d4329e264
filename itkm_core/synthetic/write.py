"""Made-up people on disk: a folder of pictures that any reader of collections can take in. [ours]

{scenario}/{split}/{group}/c{camera}/p{person}_{view}.png|jpg   the pictures
manifest.parquet   one row a picture: the columns of LISTING_SCHEMA but for tracks, and its caption, sorted by uri
synth.json         parameters and version; written last, so a folder without it is not finished
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.corpus.schema import LISTING_SCHEMA, TRACK_COLUMNS
from itkm_core.errors import StorageError
from itkm_core.storage.paths import local_folder, write_bytes
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.record import RECORD_FILE, UNFINISHED_FILE, is_finished
from itkm_core.synthetic.sample import Sample, iter_samples, sample_keys

SYNTHETIC_VERSION = 1
"""Raised whenever the same parameters no longer give the same bytes."""

MANIFEST_FILE = "manifest.parquet"

MANIFEST_SCHEMA = pa.schema(
    [
        *(field for field in LISTING_SCHEMA if field.name not in TRACK_COLUMNS),
        ("caption", pa.string()),
    ]
)


@dataclass(frozen=True)
class WrittenPeople:
    """What `write_people` made."""

    root: Path
    manifest: Path
    num_images: int
    reused: bool
    """The folder was complete already and nothing was drawn."""


def write_people(
    config: SyntheticConfig,
    out_dir: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenPeople:
    """Draw a synthetic corpus into a folder, or find it there.

    Args:
        config: the corpus; the same parameters give the same bytes.
        out_dir: a local folder; made if absent. What an interrupted call left is drawn again.
        progress: called with (pictures done, pictures in all), now and then and at the end.

    Returns:
        Where the pictures are and how many.

    Raises:
        CorpusError: the folder holds a corpus with other parameters, or anything else.
        StorageError: the folder cannot be written, or is not on this machine.
    """
    root = local_folder(out_dir)
    record = {"version": SYNTHETIC_VERSION, "parameters": config.parameters()}
    total = sum(1 for _ in sample_keys(config))
    try:
        if is_finished(root, record, MANIFEST_FILE):
            if progress:
                progress(total, total)
            return WrittenPeople(root, root / MANIFEST_FILE, total, reused=True)
        write_bytes(root / UNFINISHED_FILE, json.dumps(record, indent=2).encode())
        rows = []
        for done, sample in enumerate(iter_samples(config), start=1):
            write_bytes(root / sample.uri, sample.encoded())
            rows.append(_row(sample))
            if progress and (done % 50 == 0 or done == total):
                progress(done, total)
        rows.sort(key=lambda row: row["uri"])
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA), sink)
        write_bytes(root / MANIFEST_FILE, sink.getvalue().to_pybytes())
        os.replace(root / UNFINISHED_FILE, root / RECORD_FILE)
    except OSError as error:
        raise StorageError(
            f"cannot write synthetic people to {root}: {error}; choose a folder that can be written"
        ) from error
    return WrittenPeople(root, root / MANIFEST_FILE, total, reused=False)


def _row(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in MANIFEST_SCHEMA.names}
