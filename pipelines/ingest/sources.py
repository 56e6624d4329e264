"""One listing of the pictures of all sources."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from itkm_core.collections import folder, market1501, synthetic
from itkm_core.collections.files import file_stamps
from itkm_core.collections.groups import group_by_camera, group_undecided
from itkm_core.collections.listing import check_scenarios
from itkm_core.collections.manifest import split_manifest
from itkm_core.corpus.schema import LISTING_SCHEMA
from itkm_core.storage.paths import is_local, resolve
from pipelines.ingest.config import IngestConfig, Source

SOURCE_SCHEMA = pa.schema(
    [
        *LISTING_SCHEMA,
        ("source", pa.int32()),  # index of the source
        ("num_bytes", pa.int64()),  # -1 if there is no plain file
        ("modified", pa.int64()),  # ns
    ]
)


def list_sources(config: IngestConfig) -> tuple[pa.Table, list[str]]:
    """All pictures (SOURCE_SCHEMA, ordered by source, then by URI) and the root of each source.

    Raises:
        CorpusError: a source that cannot be listed, or two that share a scenario.
    """
    roots: list[str] = []
    listings: list[tuple[str, pa.Table]] = []
    for source in config.sources:
        root, listing = _list(source)
        roots.append(root)
        listings.append((source.path, listing))
    check_scenarios(listings)
    tables = []
    for index, (root, (_, listing)) in enumerate(zip(roots, listings, strict=True)):
        sizes, times = file_stamps(root, listing["uri"].to_pylist())
        columns = {
            **{name: listing[name] for name in LISTING_SCHEMA.names},
            "source": np.full(listing.num_rows, index, dtype=np.int32),
            "num_bytes": sizes,
            "modified": times,
        }
        tables.append(pa.table(columns, schema=SOURCE_SCHEMA))
    return pa.concat_tables(tables).combine_chunks(), roots


def _list(source: Source) -> tuple[str, pa.Table]:
    root, manifest = source.path, source.manifest
    rule = source.group_by
    match source.kind:
        case "folder":
            if manifest is None and (parts := split_manifest(source.path)):
                root, manifest = parts
            listing = folder.list_images(
                root,
                pattern=source.pattern,
                manifest=manifest,
                scenario=source.scenario,
                group_names=source.group_names,
                group_column=rule.column if rule is not None and rule.by == "column" else None,
            )
        case "market1501":
            listing = market1501.list_images(root, scenario=source.scenario)
        case "synthetic":
            listing = synthetic.list_images(root)
    if rule is not None and rule.by == "camera":
        listing = group_by_camera(listing, rule.cameras, source.path)
    if rule is not None and rule.by == "resolution":
        listing = group_undecided(listing)
    # Workers run in other folders, so a local root has to be absolute.
    return (resolve(root)[1] if is_local(root) else os.fspath(root)), listing
