"""`itkm export`, from the folder of `itkm label` and from that of a run, which has matched two groups."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tracked_corpus import label_rows, write_corpus

from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import TRACKS_FILE, TRACKS_SCHEMA, Corpus
from itkm_core.errors import ConfigError, CorpusError, StorageError
from itkm_core.matching import ClusterMatches
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import LABELS_FILE
from pipelines.artifacts.matches import write_clusters
from pipelines.artifacts.tracklets import TRACKLETS_FILE, corpus_tracklets
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.export.command import export
from pipelines.run.command import rounds_of, start_run
from pipelines.run.dag import Kind

# Of each camera: tracklet, the tracker's id, first and last frame, label and confidence; -2 where no crop was taken.
TRACKS = {
    0: [(1, 5, 1, 3, 0, 0.9), (2, 5, 7, 8, 1, 0.8), (3, 6, 2, 4, 1, 0.5), (4, 9, 4, 5, -1, 0.0)],
    1: [(1, 5, 1, 2, 0, 0.7), (2, 7, 1, 3, 0, 0.9), (3, 8, 9, 9, -2, 0.0)],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A scenario of two groups with a camera and a tracker's file each, and an image of no tracklet."""
    rows = [(group, *track) for group, tracks in TRACKS.items() for track in tracks]
    taken = [row for row in rows if row[5] > -2]
    files = {}
    for group, tracks in TRACKS.items():
        path = tmp_path / f"c{group}" / "gt.txt"
        path.parent.mkdir()
        boxes = sorted((f, one) for _, one, a, b, *_ in tracks for f in range(a, b + 1))
        path.write_text("".join(f"{f},{one},1.5,2,{one},4,0.5,-1,-1,-1\n" for f, one in boxes))
        files[group] = str(path)
    made = write_corpus(
        tmp_path / "corpus",
        group=[row[0] for row in taken] + [0],
        camera=[3] * len(taken) + [3],
        tracklet=[row[1] for row in taken] + [-1],
        frame=[row[3] for row in taken] + [-1],
    )
    table = {
        "scenario": ["uvi"] * len(rows),
        "group": [row[0] for row in rows],
        "camera": [3] * len(rows),
        "tracklet": [row[1] for row in rows],
        "tracks": [files[row[0]] for row in rows],
        "tracks_digest": [image_digest(Path(files[row[0]]).read_bytes()).hex() for row in rows],
        "video": [""] * len(rows),
        "start": [None] * len(rows),
        "id": [row[2] for row in rows],
        "first_frame": [row[3] for row in rows],
        "last_frame": [row[4] for row in rows],
        "frame_offset": [0] * len(rows),
    }
    (Place.at(made.root) / TRACKS_FILE).write_table(pa.table(table, schema=TRACKS_SCHEMA))
    return made


def labels_of(corpus: Corpus) -> pa.Table:
    rows = [track for tracks in TRACKS.values() for track in tracks if track[4] > -2]
    labels = np.array([row[4] for row in rows] + [0])
    return label_rows(corpus, labels, np.array([row[5] for row in rows] + [1.0]))


def write_labels(place: Place, corpus: Corpus) -> str:
    """What `itkm label --corpus` leaves."""
    (place / LABELS_FILE).write_table(labels_of(corpus))
    (place / TRACKLETS_FILE).write_table(corpus_tracklets(corpus, labels_of(corpus)))
    record = {"corpus": {"path": corpus.root, "digest": corpus.digest}, "groups": {}}
    (place / "parameters.json").write_json(record)
    return str(place)


def write_run(place: Place, corpus: Corpus) -> str:
    """What a run leaves whose last round held cluster 0 of group 0, by then 1, for cluster 0 of group 1."""
    config = load_config("tiny", [])
    run, rounds = start_run(place, config, corpus), rounds_of(config, corpus)
    labels = labels_of(corpus)
    (place / LABELS_FILE).write_table(labels)
    (place / TRACKLETS_FILE).write_table(corpus_tracklets(corpus, labels))
    last = rounds[-2]
    for step in last.of(Kind.LABEL):
        own = labels.filter(pa.compute.field("group") == step.group)
        swapped = own["label"].to_numpy()
        swapped = np.where(swapped >= 0, 1 - swapped, -1) if step.group == 0 else swapped
        own = own.set_column(own.column_names.index("label"), "label", pa.array(swapped))
        (run.step(step.name) / "labels.parquet").write_table(own)
    pairs = np.array([[0, 0], [1, 0]])
    kept = np.array([False, True])
    affinity = np.array([0.1, 0.9], np.float32)
    matches = ClusterMatches(pairs, affinity, kept, kept, (2, 1), 0.5, "dense")
    write_clusters(run.step(last.one(Kind.MATCH).name), matches)
    return str(place)


def ids_of(path: Path) -> dict[tuple[int, int], int]:
    """The written id of each box: (frame, the tracker's id) -> id; the boxes' width is that id."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert all(row[2:4] == ["1.5", "2"] and row[5:] == ["4", "0.5", *["-1"] * 3] for row in rows)
    return {(int(row[0]), int(row[4])): int(row[1]) for row in rows}


def test_labels_of_blocks_become_pseudo_identities_of_the_corpus(
    corpus: Corpus, tmp_path: Path
) -> None:
    place = Place.at(tmp_path / "labels")
    console = Console(file=io.StringIO(), width=200)
    out = tmp_path / "out"
    export(write_labels(place, corpus), "mot", str(out), console)
    first, second = ids_of(out / "c0-gt.txt"), ids_of(out / "c1-gt.txt")
    # Clusters 0 and 1 of group 0 are 1 and 2, cluster 0 of group 1 is 3; 4 and beyond are none.
    assert first == {
        **{(frame, 5): 1 for frame in (1, 2, 3)},
        **{(frame, 5): 2 for frame in (7, 8)},
        **{(frame, 6): 2 for frame in (2, 3, 4)},
        **{(frame, 9): 4 for frame in (4, 5)},
    }
    # Two tracklets of one label in one frame are two people: the surer one keeps it.
    assert second == {
        **{(frame, 5): 5 for frame in (1, 2)},
        **{(frame, 7): 3 for frame in (1, 2, 3)},
        (9, 8): 6,
    }
    table = (Place.at(out) / TRACKLETS_FILE).read_table()
    assert table["pseudo_identity"].to_pylist() == [1, 2, 2, 4, 5, 3, 6]
    assert table["label"].to_pylist() == [0, 1, 1, -1, 0, 0, -1]
    record = (Place.at(out) / "export.json").read_json()
    assert (record["pseudo_identities"], record["joined"]) == (3, 0)
    assert [(row["boxes"], row["alone"], row["apart"]) for row in record["files"]] == [
        (10, 1, 0),
        (6, 2, 1),
    ]
    said = console.file.getvalue()
    assert "ids 1 to 3: pseudo-identities" in said
    assert "ids from 4 on: 3 tracklets" in said
    assert "warning: 1 of these" in said


def test_a_run_has_one_identity_for_what_it_matched(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    console = Console(file=io.StringIO(), width=200)
    export(write_run(Place.at(tmp_path / "run"), corpus), "mot", str(out), console)
    assert ids_of(out / "c0-gt.txt")[1, 5] == 1 == ids_of(out / "c1-gt.txt")[1, 7]
    assert ids_of(out / "c0-gt.txt")[7, 5] == 2
    assert "ids 1 to 2: pseudo-identities, 1 of them joined" in console.file.getvalue()


def test_an_export_is_written_only_where_it_is_ours(corpus: Corpus, tmp_path: Path) -> None:
    labels = write_labels(Place.at(tmp_path / "labels"), corpus)
    console = Console(file=io.StringIO())
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "c0-gt.txt").write_text("mine")
    with pytest.raises(StorageError, match="which `itkm export` did not write"):
        export(labels, "mot", str(mine), console)
    with pytest.raises(StorageError, match="is the folder of a run"):
        export(labels, "mot", write_run(Place.at(tmp_path / "run"), corpus), console)
    assert [path.name for path in mine.iterdir()] == ["c0-gt.txt"]
    out = tmp_path / "out"
    export(labels, "mot", str(out), console)
    before = (out / "c1-gt.txt").read_bytes()
    (out / "notes.txt").write_text("mine")
    export(labels, "mot", str(out), console)
    assert (out / "c1-gt.txt").read_bytes() == before
    assert (out / "notes.txt").read_text() == "mine"


def test_what_cannot_be_exported_is_said_before_anything_is_written(
    corpus: Corpus, tmp_path: Path
) -> None:
    place, out = Place.at(tmp_path / "labels"), str(tmp_path / "out")
    labels = write_labels(place, corpus)
    console = Console(file=io.StringIO())
    with pytest.raises(ConfigError, match="--as coco: expected mot"):
        export(labels, "coco", out, console)
    with pytest.raises(StorageError, match="is neither the folder of a run"):
        export(str(tmp_path), "mot", out, console)
    tracker = tmp_path / "c0" / "gt.txt"
    text = tracker.read_text()
    tracker.write_text(text + "99,5,1,1,1,1,1\n")
    with pytest.raises(CorpusError, match=r"gt\.txt has changed since"):
        export(labels, "mot", out, console)
    tracker.unlink()
    with pytest.raises(CorpusError, match=r"gt\.txt is gone"):
        export(labels, "mot", out, console)
    tracker.write_text(text)
    (Place.at(corpus.root) / TRACKS_FILE).remove()
    with pytest.raises(CorpusError, match=r"has no tracks\.parquet"):
        export(labels, "mot", out, console)
    record = (place / "parameters.json").read_json()
    record["corpus"]["digest"] = "0" * 32
    (place / "parameters.json").write_json(record)
    with pytest.raises(CorpusError, match="is not the one that"):
        export(labels, "mot", out, console)
    for broken in (b"no table", (place / LABELS_FILE).read_bytes()):
        (place / TRACKLETS_FILE).write_bytes(broken)
        with pytest.raises(StorageError, match=r"tracklets\.parquet is damaged, or lacks columns"):
            export(labels, "mot", out, console)
    (place / TRACKLETS_FILE).remove()
    with pytest.raises(StorageError, match=r"has no tracklets\.parquet"):
        export(labels, "mot", out, console)
    assert not Path(out).exists()
