"""The labels of tracklets against a loop over their images."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tracked_corpus import label_rows, write_corpus

from pipelines.artifacts.tracklets import SCHEMA, corpus_tracklets, tracklet_table

KEYS = ("scenario", "group", "camera", "tracklet")


@pytest.mark.parametrize("seed", range(3))
def test_each_tracklet_has_the_label_of_most_of_its_images(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = {
        "scenario": rng.choice(["uvi", "ucc"], 300),
        "group": rng.integers(0, 2, 300),
        "camera": rng.integers(-1, 2, 300),
        "tracklet": rng.integers(-1, 6, 300),
        "frame": rng.integers(-1, 99, 300),
        "split": rng.choice(["train", "train", "query"], 300),
    }
    columns["frame"][columns["tracklet"] == 4] = -1
    labels, confidence = rng.integers(-1, 3, 300), rng.random(300).astype(np.float32)
    labels[columns["tracklet"] == 5] = -1
    corpus = write_corpus(tmp_path / "corpus", **columns)
    table = corpus_tracklets(corpus, label_rows(corpus, labels, confidence))
    assert table is not None
    assert table.schema == SCHEMA

    members = defaultdict(list)
    for row in range(300):
        key = tuple(columns[name][row].item() for name in KEYS)
        if columns["split"][row] == "train" and key[-1] >= 0:
            members[key].append(row)
    rows = table.to_pylist()
    assert [tuple(row[name] for name in KEYS) for row in rows] == sorted(members)
    for row in rows:
        images = members[tuple(row[name] for name in KEYS)]
        counts = Counter(labels[i] for i in images if labels[i] >= 0)
        best = min(counts, key=lambda label: (-counts[label], label), default=-1)
        weights = [confidence[i] for i in images if labels[i] == best >= 0]
        frames = [columns["frame"][i] for i in images if columns["frame"][i] >= 0] or [-1]
        assert (row["first_frame"], row["last_frame"]) == (min(frames), max(frames))
        assert (row["frames"], row["label"]) == (len(images), best)
        assert row["confidence"] == pytest.approx(sum(weights) / len(images), abs=1e-6)


def test_labels_that_keep_the_links_have_the_mean_of_their_images(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", tracklet=[7, 7, 7], frame=[5, 3, 9])
    labels = label_rows(corpus, np.array([2, 2, 2]), np.array([0.25, 0.5, 0.75]))
    table = corpus_tracklets(corpus, labels)
    assert table is not None
    (row,) = table.to_pylist()
    assert (row["label"], row["confidence"], row["first_frame"]) == (2, 0.5, 3)


def test_a_corpus_without_tracklets_has_none_and_one_without_labelled_ones_no_row(
    tmp_path: Path,
) -> None:
    bare = write_corpus(tmp_path / "bare", camera=[0, 1])
    assert corpus_tracklets(bare, label_rows(bare, np.zeros(2, int), np.ones(2))) is None
    tested = write_corpus(tmp_path / "tested", tracklet=[1, -1], split=["query", "train"])
    table = corpus_tracklets(tested, label_rows(tested, np.zeros(2, int), np.ones(2)))
    assert table is not None
    assert table.num_rows == 0
    assert table.schema == SCHEMA


def test_images_of_no_known_block_have_tracklets_too() -> None:
    labels = pa.table({"label": [1, 1, 0], "confidence": pa.array([1.0, 0.5, 0.2], pa.float32())})
    tracks = {"camera": [-1, -1, 2], "tracklet": [4, 4, 4], "frame": [-1, -1, -1]}
    table = tracklet_table(labels, {name: np.array(column) for name, column in tracks.items()})
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        ("", -1, -1, 4, -1, -1, 2, 1, 0.75),
        ("", -1, 2, 4, -1, -1, 1, 0, pytest.approx(0.2)),
    ]
