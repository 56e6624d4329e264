"""The pass over a corpus' pictures, on Ray Data.

Workers import this file, so it stays light: no torch, no command line.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from itkm_core.corpus.checks.look import LOOK_SCHEMA, look_row
from itkm_core.corpus.images import BadImage
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, shortened
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import resolve
from pipelines.faults import carried
from pipelines.ingest.mapped import Report, mapped


def look_at_all(corpus: Corpus, report: Report) -> pa.Table:
    """LOOK_SCHEMA of all pictures, sorted by sample_id. A task takes a row group: at most 1,000 pictures.

    Raises:
        CorpusError: a shard, or a picture in it, cannot be read.
    """
    parts = [
        pa.table({"shard": [shard], "row_group": [number]})
        for shard in corpus.shard_paths()
        for number in range(_read(shard, attrgetter("num_row_groups")))
    ]
    tables, done = [LOOK_SCHEMA.empty_table()], 0
    for table in mapped(parts, look_at_row_groups):
        tables.append(table)
        done += table.num_rows
        report(done, corpus.num_images)
    return pa.concat_tables(tables).sort_by("sample_id").combine_chunks()


@carried()
def look_at_row_groups(batch: pa.Table) -> pa.Table:
    """Ray Data step: LOOK_SCHEMA of the pictures of row groups of shards."""
    found = []
    for part in batch.to_pylist():
        shard, of = part["shard"], {"i": part["row_group"], "columns": COLUMNS}
        rows = _read(shard, methodcaller("read_row_group", **of))
        for sample_id, uri, data in zip(*(rows[name].to_pylist() for name in COLUMNS), strict=True):
            try:
                found.append(look_row(sample_id, data))
            except BadImage as bad:
                raise CorpusError(
                    f"cannot decode {uri!r} in the shard {shard} ({bad}): the corpus is damaged, ingest it again"
                ) from bad
    return pa.Table.from_pylist(found, schema=LOOK_SCHEMA)


COLUMNS = ["sample_id", "uri", "image"]


def _read(shard: str, what: Callable[[pq.ParquetFile], Any]) -> Any:
    filesystem, path = resolve(shard)
    try:
        with filesystem.open_input_file(path) as source:
            return patiently(lambda: what(pq.ParquetFile(source)))
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"cannot read the shard {shard} of the corpus on the node {platform.node()}: {shortened(error)}; every "
            "node must see the corpus under this path (itkm doctor checks it). If it is damaged or gone, ingest again"
        ) from error
