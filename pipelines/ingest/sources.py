"""One listing of the pictures of all sources."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.collections import folder, market1501, synthetic
from itkm_core.collections.files import file_stamps
from itkm_core.collections.groups import group_by_camera, group_undecided
from itkm_core.collections.listing import Listing, check_scenarios
from itkm_core.collections.manifest import split_manifest
from itkm_core.corpus.schema import LISTING_SCHEMA, REJECTED_SCHEMA
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


@dataclass(frozen=True)
class Sources:
    """What all sources hold.

    listing: SOURCE_SCHEMA, ordered by source, then by URI. roots: of each source. aside: pictures that cannot be used,
    as is known without opening them (REJECTED_SCHEMA). camera_names: by scenario, the name of each
    camera's number, where the source has names. left_out: by source, what is no picture (`Listing.left_out`).
    """

    listing: pa.Table
    roots: list[str]
    aside: pa.Table
    camera_names: dict[str, dict[str, str]]
    left_out: list[dict[str, Any]]

    def facts(self) -> dict[str, Any]:
        """Entries of corpus.json: none where there is nothing to say."""
        facts = {"camera_names": self.camera_names, "left_out": self.left_out}
        return {name: value for name, value in facts.items() if value}


def list_sources(config: IngestConfig) -> Sources:
    """All pictures of all sources.

    Raises:
        CorpusError: a source that cannot be listed, or two that share a scenario.
    """
    found = [(source.path, *_list(source)) for source in config.sources]
    check_scenarios([(path, listing.rows) for path, _, listing in found])
    tables, aside, left_out = [], [], []
    camera_names: dict[str, dict[str, str]] = {}
    for index, (path, root, listing) in enumerate(found):
        rows = listing.rows
        sizes, times = file_stamps(root, rows["uri"].to_pylist())
        columns = {
            **{name: rows[name] for name in LISTING_SCHEMA.names},
            "source": np.full(rows.num_rows, index, dtype=np.int32),
            "num_bytes": sizes,
            "modified": times,
        }
        tables.append(pa.table(columns, schema=SOURCE_SCHEMA))
        aside += [
            {name: getattr(each, name) for name in REJECTED_SCHEMA.names} for each in listing.aside
        ]
        left_out += [
            {"source": path, "kind": kind, "num": num, "example": example}
            for kind, (num, example) in sorted(listing.left_out.items())
        ]
        camera_names.update(_camera_names(listing))
    return Sources(
        pa.concat_tables(tables).combine_chunks(),
        [root for _, root, _ in found],
        pa.Table.from_pylist(aside, schema=REJECTED_SCHEMA),
        camera_names,
        left_out,
    )


def _camera_names(listing: Listing) -> dict[str, dict[str, str]]:
    """By scenario, the names of the cameras that it has pictures of, in the order of their numbers."""
    if not listing.camera_names:
        return {}
    pairs = listing.rows.group_by(["scenario", "camera"]).aggregate([])
    pairs = pairs.sort_by([("scenario", "ascending"), ("camera", "ascending")])
    names: dict[str, dict[str, str]] = {}
    for row in pairs.to_pylist():
        if row["camera"] in listing.camera_names:
            mine = names.setdefault(row["scenario"], {})
            mine[str(row["camera"])] = listing.camera_names[row["camera"]]
    return names


def _list(source: Source) -> tuple[str, Listing]:
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
