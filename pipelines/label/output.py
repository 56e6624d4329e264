"""What `itkm label` writes besides the index, and prints: the same for features and for a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.schema import Corpus
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import LABELS_FILE
from pipelines.artifacts.tracklets import TRACKLETS_FILE, TRACKS, corpus_tracklets, tracklet_table
from pipelines.console import Console
from pipelines.label.against import Against
from pipelines.label.group import PARAMETERS_FILE
from pipelines.label.index import GroupRecord, Index, read_group, write_group
from pipelines.label.tables import arrivals_table, labels_table, print_notes, print_sweep

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class Labelled:
    """A block's labels but for their table, as in `GroupLabels`, and its part of the index once that is written."""

    parameters: dict[str, Any]
    facts: dict[str, Any]
    notes: list[str]
    record: GroupRecord | None = None


def write_labels(
    out: Place,
    table: pa.Table,
    found: Mapping[str, Labelled],
    index: Index,
    console: Console,
    against: Against | None = None,
    first_id: int | None = None,
    corpus: Corpus | None = None,
    tracks: np.ndarray | None = None,
) -> None:
    """Write pseudo_labels.parquet, perhaps tracklets.parquet, parameters.json and index.json, and print a table.

    table: of all blocks; the ids in the file are `first_id` larger. found: by block name. index: without its groups.
    corpus: the one labelled, if it is one. tracks: else, `FeatureSet.tracks` of the table's rows.

    Raises:
        StorageError: `out` cannot be written.
    """
    parameters = {name: each.parameters for name, each in found.items()}
    more: dict[str, Any] = {} if against is None else {"against": against.origin()}
    tracklets = None
    if tracks is not None:
        tracklets = tracklet_table(table, dict(zip(TRACKS, tracks.T, strict=True)))
    if corpus is not None:
        tracklets = corpus_tracklets(corpus, table)
        more["corpus"] = {"path": corpus.root, "digest": corpus.digest}
    if first_id is not None:
        more["first_sample_id"] = first_id
        table = table.set_column(0, "sample_id", pc.add(table["sample_id"], first_id))
    (out / LABELS_FILE).write_table(table)
    if tracklets is not None:
        (out / TRACKLETS_FILE).write_table(tracklets)
    else:
        (out / TRACKLETS_FILE).remove()  # of an earlier call
    (out / PARAMETERS_FILE).write_json({"groups": parameters, **more})
    groups = {name: each.record for name, each in found.items() if each.record is not None}
    replace(index, groups={**_kept(index, groups, against), **groups}).write()
    sweeps = {name: each["sweep"] for name, each in parameters.items() if "sweep" in each}
    if sweeps:
        write_sweeps(sweeps, out, console)
    lines = [each.facts for each in found.values()]
    console.print(labels_table(lines) if against is None else arrivals_table(lines))
    print_notes(console, [note for each in found.values() for note in each.notes])
    console.print(f"{'pseudo-labels':<22} {out / LABELS_FILE}")
    if tracklets is not None:
        console.print(f"{'tracklets':<22} {out / TRACKLETS_FILE}")


def write_sweeps(
    records: Mapping[str, Mapping[str, Any]],
    out: Place,
    console: Console,
    notes: Sequence[str] = (),
) -> None:
    """Write sweep.json, and print what each value of eps gives. records: by block name."""
    (out / SWEEP_FILE).write_json({"groups": records})
    for where, record in records.items():
        print_sweep(console, record, where)
    console.print(f"{'sweep':<22} {out / SWEEP_FILE}")
    print_notes(console, notes)


def _kept(
    index: Index, groups: Mapping[str, GroupRecord], against: Against | None
) -> dict[str, GroupRecord]:
    """Copy into `index` the groups of `against` that got no new image."""
    kept = {}
    for name, record in (against.index.groups if against else {}).items():
        if against is not None and name not in groups:
            known, cameras = read_group(against.index.place, record)
            kept[name] = write_group(
                index.place,
                record.folder,
                known,
                record.parameters,
                cameras,
                largest_id=record.largest_id,
            )
    return kept
