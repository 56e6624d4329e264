"""The labels of tracklets: a row for each, from the labels of its images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.schema import Corpus
from itkm_core.neighbors.groups import most_frequent, number_groups
from pipelines.artifacts.blocks import UNGROUPED

TRACKLETS_FILE = "tracklets.parquet"
"""Beside pseudo_labels.parquet, in the folder of a run or of `itkm label`, where the images have tracklets."""

TRACKS = ("camera", "tracklet", "frame")
KEYS = ("scenario", "group", "camera", "tracklet")

SCHEMA = pa.schema(
    [
        ("scenario", pa.string()),
        ("group", pa.int8()),
        ("camera", pa.int32()),
        ("tracklet", pa.int64()),
        ("first_frame", pa.int64()),
        ("last_frame", pa.int64()),
        ("frames", pa.int64()),
        ("label", pa.int64()),
        ("confidence", pa.float32()),
    ]
)
"""One row a tracklet with labelled images, sorted by KEYS.

first_frame, last_frame: of its labelled images, as in the corpus; -1 where no frame is known. frames: their number.
label, confidence: see `tracklet_table`."""


def corpus_tracklets(corpus: Corpus, labels: pa.Table) -> pa.Table | None:
    """`tracklet_table` of labels with the sample ids of a corpus; None if the corpus has no tracklets."""
    if not corpus.has_tracklets:
        return None
    index = corpus.index(TRACKS).take(labels["sample_id"])
    return tracklet_table(labels, {name: index[name].to_numpy() for name in TRACKS})


def tracklet_table(labels: pa.Table, tracks: Mapping[str, np.ndarray]) -> pa.Table:
    """Labels of the tracklets (SCHEMA) from those of the images.

    labels: as `label_table`, of all blocks; images without a known scenario and group count as of "" and -1.
    tracks: int [N], the camera, tracklet and frame of each of its rows; -1 unknown.

    A tracklet's label is the most frequent one of its images that are no outliers, ties to the lower number; -1 if all
    are. Its confidence is the mean of theirs, where an image of another label counts as 0. Labels that keep the links
    have one label a tracklet, so none does. (docs/definition.md, "Labels of tracklets") [ours]
    """
    unknown = {name: [value] * labels.num_rows for name, value in UNGROUPED._asdict().items()}
    columns = {**unknown, **{name: labels[name] for name in labels.column_names}}
    rows = pa.table({**columns, **{name: tracks[name] for name in TRACKS}})
    rows = rows.filter(pc.field("tracklet") >= 0)
    number, first = number_groups(*(rows[name].to_numpy() for name in KEYS))
    label, frame = rows["label"].to_numpy(), rows["frame"].to_numpy()
    found, _ = most_frequent(label, number, len(first))
    agrees = (label == found[number]) & (label >= 0)
    sums = np.bincount(number, np.where(agrees, rows["confidence"].to_numpy(), 0.0), len(first))
    num = np.bincount(number, minlength=len(first))
    start, end = np.full(len(first), np.iinfo(np.int64).max), np.full(len(first), -1)
    np.minimum.at(start, number, np.where(frame < 0, np.iinfo(np.int64).max, frame))
    np.maximum.at(end, number, frame)
    of_each = {
        "first_frame": np.where(end < 0, -1, start),
        "last_frame": end,
        "frames": num,
        "label": found,
        "confidence": (sums / np.maximum(num, 1)).astype(np.float32),
    }
    keys = rows.select(KEYS).take(pa.array(first))
    return pa.table({**dict(zip(KEYS, keys.columns, strict=True)), **of_each}, schema=SCHEMA)
