"""Folders of pictures to a corpus, on Ray Data: all or nothing, and a no-op when repeated."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.digest import table_digest
from itkm_core.corpus.schema import Corpus, without_unknown_tracks
from itkm_core.corpus.writer import corpus_digest, finish_corpus, plan_shards
from itkm_core.errors import CorpusError, StorageError
from pipelines.artifacts.differences import differences
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.cuts import cut_all
from pipelines.ingest.judge import judge, refuse_too_many
from pipelines.ingest.place import CorpusPlace
from pipelines.ingest.published import draws_by_id
from pipelines.ingest.sources import Sources, list_sources
from pipelines.ingest.tasks import inspect_all, write_all

Progress = Callable[[str, int, int], None]
"""Called with (stage, pictures done, pictures in total): a stage of STAGES; the total is 0 while unknown."""

STAGES = ("list", "cut", "inspect", "write", "reused")


def ingest(
    config: IngestConfig,
    out: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
    connect: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Corpus:
    """Make a corpus at `out` (a folder or a URI of pyarrow.fs) from the sources of `config`.

    Every picture is decoded once before the corpus is written, and a crop of a video cut; unusable ones are
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
    sources = list_sources(config)
    num = sources.listing.num_rows
    report("list", num, num)
    refuse_too_many(config, sources.aside, num + sources.aside.num_rows)
    request = _request(config, sources)
    with CorpusPlace.locked(out) as place:
        found = place.existing()
        if found is not None:
            _refuse_other(found, request, sources)
            if found.record.get("listing_stamp") == request["listing_stamp"]:
                report("reused", found.num_images, found.num_images)
                return _with_facts(found, sources)
        if found is None:
            place.try_writing()
        with ExitStack() as open_until_done:
            scratch = None
            if found is None and sources.cuts is not None:
                scratch = open_until_done.enter_context(place.scratch())
            open_until_done.enter_context(connect())
            inspected = _inspect(config, sources, scratch, report)
            judged = judge(config, sources, inspected)
            accepted, rejected = judged.accepted, judged.rejected
            shards = plan_shards(accepted["num_bytes"].to_numpy(), config.shard_bytes)
            if found is not None:
                if found.digest != corpus_digest(accepted, shards, rejected):
                    raise CorpusError(
                        f"{found.root} holds a corpus made from these files before some of the pictures "
                        "changed; give another --out, or delete that corpus"
                    )
                report("reused", found.num_images, found.num_images)
                return _with_facts(found, sources)
            with place.all_or_nothing(scratch) as root:
                faults = write_all(
                    root,
                    accepted,
                    judged.origin,
                    shards,
                    sources.roots if scratch is None else sources.roots_with(scratch),
                    lambda done, total: report("write", done, total),
                )
                if faults:
                    raise StorageError(
                        f"{faults[0]} ({len(faults)} of {len(shards)} shards failed)"
                    )
                place.check_shards(root, len(shards))
                facts = {**request, **sources.facts(), **judged.facts()}
                draws = None if sources.draws is None else draws_by_id(sources.draws, accepted)
                finish_corpus(root, accepted, shards, rejected, sources.tracks, draws, **facts)
    return Corpus.open(out)


def _inspect(
    config: IngestConfig, sources: Sources, scratch: str | None, report: Progress
) -> pa.Table:
    """INSPECTED_SCHEMA of all pictures, in the listing's order. scratch: where crops are kept; None: nowhere."""
    rows = np.arange(sources.listing.num_rows)
    pictures, tables = sources.listing.append_column("row", pa.array(rows, pa.int64())), []
    if sources.cuts is not None:
        tables.append(
            cut_all(sources.cuts, scratch, lambda done, total: report("cut", done, total))
        )
        cut = np.isin(rows, sources.cuts.crops["row"].to_numpy())
        pictures = pictures.filter(pa.array(~cut))
    if pictures.num_rows:
        tables.append(
            inspect_all(
                pictures,
                sources.roots,
                config.limits,
                lambda done, total: report("inspect", done, total),
            )
        )
    return pa.concat_tables(tables).sort_by("row").combine_chunks()


def _request(config: IngestConfig, sources: Sources) -> dict[str, Any]:
    """What corpus.json says about how a corpus came about."""
    aside = sources.aside.select(["uri", "scenario", "reason"])
    listing = without_unknown_tracks(sources.listing)
    listed = [listing, *([aside] if aside.num_rows else [])]
    if sources.cuts is not None:
        listed.append(sources.cuts.crops)
    if sources.draws is not None:
        listed.append(sources.draws)
    return {
        "parameters": config.identity(),
        "sources": [source.model_dump(mode="json") for source in config.sources],
        "listing_digest": table_digest(listed[0].drop_columns("modified"), *listed[1:]),
        # Includes modification times: if it is equal, no picture has to be read to know it is the same.
        "listing_stamp": table_digest(*listed),
    }


def _with_facts(found: Corpus, sources: Sources) -> Corpus:
    """A corpus that was there, with what today's listing says beside its pictures."""
    return replace(found, record={**found.record, **sources.facts()})


def _refuse_other(found: Corpus, request: dict[str, Any], sources: Sources) -> None:
    """Raises CorpusError, saying what differs, if `found` was made by another request."""
    changes = differences(found.record.get("parameters", {}), request["parameters"])
    if not changes and found.record.get("listing_digest") != request["listing_digest"]:
        changes = [_listing_difference(found, sources)]
    if changes:
        raise CorpusError(
            f"{found.root} holds another corpus ({'; '.join(changes)}); give another --out, or "
            "delete that corpus"
        )


def _listing_difference(found: Corpus, sources: Sources) -> str:
    names = ["scenario", "uri"]
    kept = [
        row
        for row in found.index([*names, "group"]).to_pylist()
        if (row["scenario"], row["group"]) not in found.in_other_clothes
    ]
    there, here = (
        {(row["scenario"], row["uri"]) for row in rows}
        for rows in (
            [*kept, *found.rejected().to_pylist()],
            [*sources.listing.select(names).to_pylist(), *sources.aside.to_pylist()],
        )
    )
    added, gone = sorted(here - there), sorted(there - here)
    if not added and not gone:
        return "the same files with different sizes, groups, cameras, splits or people"
    first = f"{'new' if added else 'gone'}: {(added or gone)[0][1]!r}"
    return f"{len(added)} pictures are new and {len(gone)} are gone, such as {first}"
