"""One listing of the pictures of all sources."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.collections import folder, synthetic
from itkm_core.collections.files import file_stamps
from itkm_core.collections.groups import group_by_camera, group_undecided
from itkm_core.collections.known import COLLECTIONS, list_collection
from itkm_core.collections.listing import Listing, check_scenarios
from itkm_core.collections.manifest import split_manifest
from itkm_core.collections.tracks.frames import Frames
from itkm_core.collections.tracks.listing import TrackListing, list_crops
from itkm_core.corpus.schema import LISTING_SCHEMA, REJECTED_SCHEMA
from itkm_core.storage.paths import is_local, parent, resolve
from pipelines.ingest.cameras import cameras_of
from pipelines.ingest.config import IngestConfig, Source
from pipelines.ingest.cuts import Cuts
from pipelines.ingest.derived import MLR, in_two_resolutions
from pipelines.ingest.published import published

SOURCE_SCHEMA = pa.schema(
    [
        *LISTING_SCHEMA,
        ("source", pa.int32()),  # index of the source
        ("num_bytes", pa.int64()),  # of a crop those of its video; -1 if there is no plain file
        ("modified", pa.int64()),  # ns
    ]
)


@dataclass(frozen=True)
class Sources:
    """What all sources hold.

    listing: SOURCE_SCHEMA, ordered by source, then by URI. roots: of each source. aside: pictures that cannot be used,
    as is known without opening them (REJECTED_SCHEMA). camera_names: by scenario, the name of each
    camera's number, where the source has names. left_out: by source, what is no picture (`Listing.left_out`).
    collections: a fact a scenario that comes from a public collection (`published`); draws: theirs, with `scenario` and
    LISTED_DRAWS_SCHEMA.
    synthetic: how made-up people were drawn, a fact a source of theirs.
    cuts, tracks: of the pictures that are to be cut from videos, if there are any; tracks has TRACKS_SCHEMA.
    """

    listing: pa.Table
    roots: list[str]
    aside: pa.Table
    camera_names: dict[str, dict[str, str]]
    left_out: list[dict[str, Any]]
    collections: list[dict[str, Any]]
    synthetic: list[dict[str, Any]]
    draws: pa.Table | None
    cuts: Cuts | None
    tracks: pa.Table | None

    def roots_with(self, scratch: str) -> list[str]:
        """The roots, `scratch` in place of those that crops are cut from."""
        cut = set(
            ()
            if self.cuts is None
            else self.listing["source"].take(self.cuts.crops["row"]).to_pylist()
        )
        return [scratch if source in cut else root for source, root in enumerate(self.roots)]

    def facts(self) -> dict[str, Any]:
        """Entries of corpus.json: none where there is nothing to say."""
        facts = {
            "camera_names": self.camera_names,
            "left_out": self.left_out,
            "collections": self.collections,
            "synthetic": self.synthetic,
        }
        return {name: value for name, value in facts.items() if value}


def list_sources(config: IngestConfig) -> Sources:
    """All pictures of all sources.

    Raises:
        CorpusError: a source that cannot be listed, or two that share a scenario.
    """
    found = []
    collections: list[dict[str, Any]] = []
    draws: list[pa.Table] = []
    drawn: list[dict[str, Any]] = []
    crops: dict[int, TrackListing] = {}
    for index, source in enumerate(config.sources):
        if source.kind == "tracks":
            crops[index] = _crops(source)
            found.append((source.path, _root(source.path), crops[index].listing))
        else:
            root, listing = _list(source)
            if source.kind == "synthetic":
                drawn.append(synthetic.parameters(root))
            if source.kind in COLLECTIONS:
                collections.append(published(source, listing))
            if listing.draws is not None:
                named = pa.array([collections[-1]["scenario"]] * listing.draws.num_rows)
                draws.append(listing.draws.add_column(0, "scenario", named))
            found.append((source.path, root, _grouped(source, listing)))
    check_scenarios([(path, listing.rows) for path, _, listing in found])
    tables, aside, left_out = [], [], []
    camera_names: dict[str, dict[str, str]] = {}
    for index, (path, root, listing) in enumerate(found):
        rows = listing.rows
        if index in crops:
            sizes, times = _stamps(crops[index])
        else:
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
    starts = np.cumsum([0, *(table.num_rows for table in tables)])
    return Sources(
        pa.concat_tables(tables).combine_chunks(),
        [root for _, root, _ in found],
        pa.Table.from_pylist(aside, schema=REJECTED_SCHEMA),
        camera_names,
        left_out,
        collections,
        drawn,
        pa.concat_tables(draws).combine_chunks() if draws else None,
        _cuts(config, crops, starts) if crops else None,
        pa.concat_tables([each.tracks for each in crops.values()]) if crops else None,
    )


def _cuts(config: IngestConfig, crops: dict[int, TrackListing], starts: np.ndarray) -> Cuts:
    """All crops; those of source i are the rows from starts[i] on."""
    videos: list[Frames] = []
    qualities: list[int] = []
    tables = []
    for index, each in crops.items():
        rows = np.arange(each.crops.num_rows) + starts[index]
        video = each.crops["video"].to_numpy() + len(videos)
        table = each.crops.set_column(0, "video", pa.array(video, pa.int32()))
        tables.append(table.append_column("row", pa.array(rows, pa.int64())))
        videos += each.videos
        qualities += [config.sources[index].crops.quality] * len(each.videos)
    return Cuts(pa.concat_tables(tables).combine_chunks(), videos, qualities)


def _stamps(found: TrackListing) -> tuple[np.ndarray, np.ndarray]:
    """(size, time of change) of the file that each crop is cut from."""
    video, number = (found.crops[name].to_numpy() for name in ("video", "number"))
    sizes, times = np.zeros(len(video), np.int64), np.zeros(len(video), np.int64)
    for index, frames in enumerate(found.videos):
        rows = np.flatnonzero(video == index)
        if frames.names:
            files = [frames.names[n - 1] for n in number[rows]]
            sizes[rows], times[rows] = file_stamps(frames.path, files)
        else:
            name = frames.path.partition("?")[0].rpartition("/")[2]
            sizes[rows], times[rows] = file_stamps(parent(frames.path), [name])
    return sizes, times


def _crops(source: Source) -> TrackListing:
    """The crops of a source of kind tracks, in the groups that its rule decides."""
    cameras = cameras_of(source.path, source.tracks, source.scenario)
    found = list_crops(cameras, source.crops.options())
    if source.group_by is None:
        return found
    listing = group_by_camera(found.listing, source.group_by.cameras, source.path)
    ours = dict(zip(*(listing.rows[name].to_pylist() for name in ("camera", "group")), strict=True))
    groups = [ours.get(camera, 0) for camera in found.tracks["camera"].to_pylist()]
    place = found.tracks.schema.get_field_index("group")
    tracks = found.tracks.set_column(place, "group", pa.array(groups, pa.int8()))
    return replace(found, listing=listing, tracks=tracks)


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
        case "synthetic":
            listing = synthetic.list_images(root)
        case name:
            listing = list_collection(name, root, source.called, source.variant)
    return _root(root), listing


def _grouped(source: Source, listing: Listing) -> Listing:
    """The listing in the groups that the source's rule decides.

    Raises:
        CorpusError: a rule that does not fit, or a second group to derive where there is one.
    """
    rule = source.group_by
    if source.derive == MLR:
        return in_two_resolutions(source, listing)
    if rule is not None and rule.by == "camera":
        return group_by_camera(listing, rule.cameras, source.path)
    if rule is not None and rule.by == "resolution":
        return group_undecided(listing)
    return listing


def _root(path: str) -> str:
    """Absolute, if it is local: workers run in other folders."""
    return resolve(path)[1] if is_local(path) else os.fspath(path)
