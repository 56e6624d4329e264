"""`itkm export`: the labels of tracklets in the form in which they came, a tracker's files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.collections.tracks.boxes import read_boxes
from itkm_core.errors import ConfigError, CorpusError, StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.claim import claim
from pipelines.artifacts.hold import held
from pipelines.artifacts.tracklets import KEYS, TRACKLETS_FILE
from pipelines.console import Console
from pipelines.export.files import RECORD, check_files, file_names, remove_earlier
from pipelines.export.identities import number_clusters
from pipelines.export.mot import apart, mot_text, tracklets_of
from pipelines.export.source import Source, read_source
from pipelines.export.tables import print_export


def export(run: str, kind: str, out: str, console: Console) -> None:
    """Write the tracker's file of each video again, with pseudo-identities as ids, and which tracklet got which.

    Pseudo-identities are numbered from 1 over the whole corpus: a cluster has one, and two that `joined_clusters` holds
    for one person have the same. A tracklet of no cluster gets a number of its own beyond them; so does one whose
    number another tracklet of higher confidence has in the same frame. [ours]

    Raises:
        ConfigError: another kind than "mot".
        StorageError: as `read_source` and `claim`.
        CorpusError: as `read_source`, no tracker's files, or one that is gone or has changed since.
    """
    if kind != "mot":
        raise ConfigError(f"--as {kind}: expected mot, the text of MOTChallenge")
    source = read_source(Place.at(run))
    tracks = _tracks(source)
    check_files(tracks)
    place = Place.at(out)
    if (place / "config.yaml").exists():
        raise StorageError(f"--out {out} is the folder of a run; give another")
    with held(claim(place, "export"), console.print):
        _write(place, source, tracks, console)


def _write(place: Place, source: Source, tracks: pa.Table, console: Console) -> None:
    remove_earlier(place)
    clusters = number_clusters(source.labels, source.joined)
    num = max((int(own.max(initial=0)) for own in clusters.values()), default=0)
    identity = _identities(tracks, clusters)
    rank = np.argsort(np.argsort(-tracks["confidence"].to_numpy(), kind="stable"))
    next_one = num + 1
    files: list[dict[str, Any]] = []
    names = file_names(pc.unique(tracks["tracks"]).to_pylist())
    for path, rows in _by_file(tracks):
        boxes = read_boxes(path)
        of = tracklets_of(boxes, tracks.take(pa.array(rows)))
        leaving = apart(boxes.frame, of, identity[rows], rank[rows])
        identity[rows[leaving]] = 0
        own = rows[identity[rows] == 0]
        known = np.unique(identity[rows][identity[rows] > 0])
        identity[own] = np.arange(next_one, next_one + len(own))
        next_one += len(own)
        (place / names[path]).write_bytes(mot_text(boxes, identity[rows][of]).encode())
        files.append(
            {
                "file": names[path],
                "of": path,
                "scenario": tracks["scenario"][rows[0]].as_py(),
                "group": tracks["group"][rows[0]].as_py(),
                "camera": tracks["camera"][rows[0]].as_py(),
                "boxes": len(boxes),
                "tracklets": len(rows),
                "pseudo_identities": len(known),
                "alone": len(own),
                "apart": len(leaving),
            }
        )
    table = tracks.append_column("pseudo_identity", pa.array(identity))
    (place / TRACKLETS_FILE).write_table(table)
    record = {
        "files": files,
        "pseudo_identities": num,
        "joined": sum(map(len, source.joined.values())),
    }
    (place / RECORD).write_json(record)
    print_export(console, record, place)


def _tracks(source: Source) -> pa.Table:
    """TRACKS_SCHEMA, of the scenarios that are labelled, and the label and confidence of each; -1 and 0 without."""
    found = source.corpus.tracks()
    if found is None:
        raise CorpusError(
            f"the corpus at {source.corpus.root} has no tracks.parquet: it was not made from a tracker's files; "
            "expected one of `itkm ingest --as tracks`"
        )
    labelled = pc.unique(source.labels["scenario"])
    found = found.filter(pc.is_in(found["scenario"], labelled))
    own = source.tracklets.select([*KEYS, "label", "confidence"])
    table = found.join(own, list(KEYS), join_type="left outer")
    for name, value in (("label", -1), ("confidence", 0.0)):
        column = table.column_names.index(name)
        filled = pc.fill_null(table[name], pa.scalar(value, table[name].type))
        table = table.set_column(column, name, filled)
    return table.sort_by([(name, "ascending") for name in KEYS])


def _identities(tracks: pa.Table, clusters: dict[Block, np.ndarray]) -> np.ndarray:
    """The pseudo-identity of each tracklet, int64 [T]; 0: none."""
    identity = np.zeros(tracks.num_rows, np.int64)
    label, group = tracks["label"].to_numpy(), tracks["group"].to_numpy()
    scenario = tracks["scenario"].to_numpy()
    for block, own in clusters.items():
        rows = (scenario == block.scenario) & (group == block.group) & (label >= 0)
        identity[rows] = own[label[rows]]
    return identity


def _by_file(tracks: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Each tracker's file, in order of its first tracklet, and the rows of its tracklets."""
    paths = tracks["tracks"].to_numpy()
    for path in dict.fromkeys(paths.tolist()):
        yield path, np.flatnonzero(paths == path)
