"""Folders of pictures to a corpus, on Ray Data: all or nothing, and a no-op when repeated."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.collections.groups import group_by_height
from itkm_core.corpus.digest import table_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA, Corpus
from itkm_core.corpus.writer import (
    ACCEPTED_SCHEMA,
    corpus_digest,
    count_values,
    finish_corpus,
    plan_shards,
)
from itkm_core.errors import CorpusError, StorageError
from pipelines.artifacts.differences import differences
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.place import CorpusPlace
from pipelines.ingest.sources import list_sources
from pipelines.ingest.tasks import inspect_all, write_all

Progress = Callable[[str, int, int], None]
"""Called with (stage, pictures done, pictures in total): a stage of STAGES; the total is 0 while unknown."""

STAGES = ("list", "inspect", "write", "reused")

_INSPECTED = ("height", "width", "num_bytes", "digest")


def ingest(
    config: IngestConfig,
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    connect: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Corpus:
    """Make a corpus at `out` (a folder or a URI of pyarrow.fs) from the sources of `config`.

    Every picture is decoded once before anything is written; unusable ones are
    set aside in rejected.parquet. Sample ids follow the order of the sources and, within a source, of the
    URIs, whatever order the workers finish in. If `out` already holds a corpus with the same contents, it
    is returned as it is (stage "reused").

    connect: a connection to Ray for the block, made when pictures must be read; without it Ray must be connected
        already.

    Raises:
        CorpusError: an unusable source, too many rejected pictures, or something else at `out`; nothing
            is left there.
        StorageError: `out` cannot be written.
    """
    report = progress or (lambda stage, done, total: None)
    report("list", 0, 0)
    listing, roots = list_sources(config)
    report("list", listing.num_rows, listing.num_rows)
    request = {
        "parameters": config.identity(),
        "sources": [source.model_dump(mode="json") for source in config.sources],
        "listing_digest": table_digest(listing.drop_columns("modified")),
        # Includes modification times: if it is equal, no picture has to be read to know it is the same.
        "listing_stamp": table_digest(listing),
    }
    with CorpusPlace.locked(out) as place:
        found = place.existing()
        if found is not None:
            _refuse_other(found, request, listing)
            if found.record.get("listing_stamp") == request["listing_stamp"]:
                report("reused", found.num_images, found.num_images)
                return found
        # Before anything is read, so that a place that cannot be written shows at once.
        writing: AbstractContextManager[str] = nullcontext("") if found else place.all_or_nothing()
        with connect(), writing as root:
            inspected = inspect_all(
                listing, roots, config.limits, lambda done, total: report("inspect", done, total)
            )
            accepted, sources, rejected = _judge(config, listing, inspected)
            shards = plan_shards(accepted["num_bytes"].to_numpy(), config.shard_bytes)
            if found is not None:
                if found.digest != corpus_digest(accepted, shards, rejected):
                    raise CorpusError(
                        f"{found.root} holds a corpus made from these files before some of the pictures "
                        "changed; give another --out, or delete that corpus"
                    )
                report("reused", found.num_images, found.num_images)
                return found
            faults = write_all(
                root,
                accepted,
                sources,
                shards,
                roots,
                lambda done, total: report("write", done, total),
            )
            if faults:
                raise StorageError(f"{faults[0]} ({len(faults)} of {len(shards)} shards failed)")
            place.check_shards(root, len(shards))
            finish_corpus(root, accepted, shards, rejected, **request)
    return Corpus.open(out)


def _judge(
    config: IngestConfig, listing: pa.Table, inspected: pa.Table
) -> tuple[pa.Table, pa.Array, pa.Table]:
    """(accepted pictures, the source of each, rejected pictures); an error with the counts if too many are bad."""
    good = pc.equal(inspected["reason"], "")
    bad = pc.invert(good)
    rejected = (
        listing.filter(bad)
        .select(["uri", "scenario"])
        .append_column("reason", inspected.filter(bad)["reason"])
        .cast(REJECTED_SCHEMA)
    )
    fraction = rejected.num_rows / listing.num_rows
    if fraction > config.max_rejected_fraction or rejected.num_rows == listing.num_rows:
        reasons = ", ".join(f"{n} {why}" for why, n in count_values(rejected["reason"]).items())
        raise CorpusError(
            f"{rejected.num_rows:,} of {listing.num_rows:,} pictures cannot be used ({reasons}), the "
            f"first is {rejected['uri'][0].as_py()!r}; max_rejected_fraction = "
            f"{config.max_rejected_fraction} allows {100 * config.max_rejected_fraction:g} %. Nothing "
            "was written: remove these pictures, or raise max_rejected_fraction"
        )
    kept, seen = listing.filter(good), inspected.filter(good)
    below = np.array([s.group_by.below if s.group_by else 0 for s in config.sources])
    groups = group_by_height(
        kept["group"].to_numpy(), seen["height"].to_numpy(), below[kept["source"].to_numpy()]
    )
    columns = {
        name: seen[name] if name in _INSPECTED else kept[name] for name in ACCEPTED_SCHEMA.names
    }
    accepted = pa.table({**columns, "group": groups}, schema=ACCEPTED_SCHEMA).combine_chunks()
    return accepted, kept["source"].combine_chunks(), rejected


def _refuse_other(found: Corpus, request: dict[str, Any], listing: pa.Table) -> None:
    """Raises CorpusError, saying what differs, if `found` was made by another request."""
    changes = differences(found.record.get("parameters", {}), request["parameters"])
    if not changes and found.record.get("listing_digest") != request["listing_digest"]:
        changes = [_listing_difference(found, listing)]
    if changes:
        raise CorpusError(
            f"{found.root} holds another corpus ({'; '.join(changes)}); give another --out, or "
            "delete that corpus"
        )


def _listing_difference(found: Corpus, listing: pa.Table) -> str:
    names = ["scenario", "uri"]
    tables = [found.index(names), found.rejected().select(names)]
    there = {tuple(row.values()) for table in tables for row in table.to_pylist()}
    here = {tuple(row.values()) for row in listing.select(names).to_pylist()}
    added, gone = sorted(here - there), sorted(there - here)
    if not added and not gone:
        return "the same files with different sizes, groups, cameras, splits or people"
    first = f"{'new' if added else 'gone'}: {(added or gone)[0][1]!r}"
    return f"{len(added)} pictures are new and {len(gone)} are gone, such as {first}"
