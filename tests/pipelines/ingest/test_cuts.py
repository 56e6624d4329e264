"""From videos and trackers' files to a corpus."""

from __future__ import annotations

import io
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import encoded
from made_video import colour, walk, walkers, write_tracks, write_video
from PIL import Image

from itkm_core.collections.tracks import frames
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError
from pipelines.ingest.config import ingest_config
from pipelines.ingest.make import ingest
from pipelines.ingest.tables import summary_rows

pytestmark = pytest.mark.ray

SEEN = {
    "yard": sorted([*walk(1, 2, 30), *walk(2, 9, 20, left=80), *walk(7, 35, 40, top=60)]),
    "gate": sorted([*walk(1, 5, 28), *walk(3, 12, 40, left=60, top=70)]),
}


@pytest.fixture(autouse=True)
def _needs_ray(local_ray: None) -> None:
    """Every test here uses the session's Ray."""


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """A YAML file of two videos of 40 frames, in which people of one colour each walk."""
    lines = ["cameras:"]
    for group, (name, boxes) in enumerate(SEEN.items()):
        write_video(tmp_path / f"{name}.mp4", walkers(boxes, 40), gop=5)
        write_tracks(tmp_path / f"{name}.txt", boxes)
        lines.append(f"- {{video: {name}.mp4, tracks: {name}.txt, camera: {name}, group: {group}}}")
    (tmp_path / "cameras.yaml").write_text("\n".join(lines))
    return tmp_path / "cameras.yaml"


def config(path: Path, tracks: Path | None = None, **crops):
    source = {"kind": "tracks", "path": str(path), "scenario": "hall", "crops": crops}
    return ingest_config(sources=[source if tracks is None else {**source, "tracks": str(tracks)}])


def all_rows(corpus: Corpus) -> list[dict]:
    return [row for path in corpus.shard_paths() for row in pq.read_table(path).to_pylist()]


def test_crops_of_two_cameras(cameras: Path, tmp_path: Path) -> None:
    stages = []
    corpus = ingest(
        config(cameras, every=1),
        tmp_path / "corpus",
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    rows = all_rows(corpus)
    tracks = {(row["camera"], row["tracklet"]): row for row in corpus.tracks().to_pylist()}
    found = set()
    for row in rows:
        track = tracks[row["camera"], row["tracklet"]]
        name = Path(track["video"]).stem
        box = {(f, i): rest for f, i, *rest in SEEN[name]}[row["frame"], track["id"]]
        assert row["uri"] == f"{name}/{row['tracklet']:06d}-{row['frame']:05d}.jpg"
        assert (row["width"], row["height"]) == (box[2], box[3])
        assert row["group"] == track["group"] == list(SEEN).index(name)
        with Image.open(io.BytesIO(row["image"])) as image:
            assert (image.format, image.size) == ("JPEG", (20, 40))
            middle = np.asarray(image)[8:32, 5:15].reshape(-1, 3).mean(axis=0)
        assert np.abs(middle - colour(track["id"])).max() < 12
        found.add((name, row["frame"], track["id"]))
    assert found == {(name, f, i) for name, boxes in SEEN.items() for f, i, *_ in boxes}
    assert corpus.has_tracklets
    assert [row["num_tracklets"] for row in summary_rows(corpus)] == [3, 2]
    assert set(os.listdir(tmp_path / "corpus")) == {
        "corpus.json",
        "rejected.parquet",
        "shards",
        "tracks.parquet",
    }
    assert list(dict.fromkeys(stage for stage, _, _ in stages)) == ["list", "cut", "write"]
    assert [done for stage, done, _ in stages if stage == "cut"][-1] == len(rows)


def test_spans_do_not_show_and_nor_does_where_the_files_lie(
    cameras: Path, tmp_path: Path, monkeypatch
) -> None:
    one = ingest(config(cameras, per_tracklet=5), tmp_path / "one")
    monkeypatch.setattr(frames, "SPAN_FRAMES", (5, 5))
    (tmp_path / "moved").mkdir()
    for path in [*tmp_path.glob("*.mp4"), *tmp_path.glob("*.txt"), cameras]:
        path.rename(tmp_path / "moved" / path.name)
    two = ingest(config(tmp_path / "moved" / "cameras.yaml", per_tracklet=5), tmp_path / "two")
    assert one.digest == two.digest
    for a, b in zip(one.shard_paths(), two.shard_paths(), strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()
    index = one.index(["camera", "tracklet", "frame"]).to_pylist()
    of: dict[tuple[int, int], set[int]] = {}
    for row in index:
        of.setdefault((row["camera"], row["tracklet"]), set()).add(row["frame"])
    together = {(a, b) for a, b in combinations(sorted(of), 2) if a[0] == b[0] and of[a] & of[b]}
    assert together == {((1, 1), (1, 2)), ((2, 1), (2, 2))}  # gate is camera 1


def test_the_same_command_again_reuses(cameras: Path, tmp_path: Path) -> None:
    def stages(**crops) -> list[str]:
        seen: list[str] = []
        ingest(
            config(cameras, **crops),
            tmp_path / "corpus",
            progress=lambda stage, *_: seen.append(stage),
        )
        return list(dict.fromkeys(seen))

    assert stages() == ["list", "cut", "write"]
    assert stages() == ["list", "reused"]
    os.utime(tmp_path / "yard.mp4", ns=(1, 1))
    assert stages() == ["list", "cut", "reused"]
    with pytest.raises(CorpusError, match=r"sources\.0\.crops\.quality: 95 there, 80 now"):
        stages(quality=80)
    boxes = [(f, i, x + 1, y, w, h) for f, i, x, y, w, h in SEEN["yard"]]
    write_tracks(tmp_path / "yard.txt", boxes)
    with pytest.raises(CorpusError, match="holds another corpus"):
        stages()


def test_a_video_beside_a_folder_of_pictures(cameras: Path, tmp_path: Path, picture_tree) -> None:
    root = picture_tree(["UVI/0/1/a.png", "UVI/1/2/b.png"])
    video = {
        "kind": "tracks",
        "path": str(tmp_path / "yard.mp4"),
        "tracks": str(tmp_path / "yard.txt"),
        "crops": {"every": 6},
        "group_by": {"by": "camera", "cameras": ["yard"]},
    }
    folder = {"kind": "folder", "path": str(root)}
    rows = []
    for number, sources in enumerate(([video, folder], [folder, video])):
        corpus = ingest(ingest_config(sources=sources), tmp_path / f"corpus{number}")
        rows.append(sorted((row["uri"], row["image"]) for row in all_rows(corpus)))
        assert set(corpus.tracks()["group"].to_pylist()) == {1}
        tracked = [row for row in all_rows(corpus) if row["tracklet"] >= 0]
        assert {(row["scenario"], row["group"]) for row in tracked} == {("default", 1)}
    assert rows[0] == rows[1]
    assert dict(rows[0])["UVI/0/1/a.png"] == (root / "UVI/0/1/a.png").read_bytes()


def test_what_cannot_be_cut_is_set_aside_and_too_much_of_it_stops(tmp_path: Path) -> None:
    boxes = [*walk(1, 1, 8), *walk(2, 1, 8, left=200)]  # of a frame 160 pixels wide
    for number, picture in enumerate(walkers(boxes, 8), start=1):
        (tmp_path / "frames").mkdir(exist_ok=True)
        (tmp_path / "frames" / f"{number}.png").write_bytes(encoded(picture))
    (tmp_path / "frames" / "5.png").write_bytes(b"x")
    tracks = write_tracks(tmp_path / "t.txt", boxes)
    asked = config(tmp_path / "frames", tracks, every=1)
    with pytest.raises(CorpusError) as caught:
        ingest(asked, tmp_path / "corpus")
    assert "8 of 16 pictures cannot be used (8 bad_box)" in str(caught.value)
    assert (
        f"line 9 of {tracks}: the box [200.0, 20.0, 20.0, 40.0] in a frame of 160 x 120 pixels"
        in str(caught.value)
    )
    loose = ingest_config(sources=asked.model_dump()["sources"], max_rejected_fraction=0.6)
    corpus = ingest(loose, tmp_path / "corpus")
    assert corpus.record["num_rejected"] == {"bad_box": 8, "unreadable": 1}
    frames_kept = corpus.index(["frame"])["frame"].to_pylist()
    assert frames_kept == [1, 2, 3, 4, 6, 7, 8]
    (unread,) = [row for row in corpus.rejected().to_pylist() if row["reason"] == "unreadable"]
    assert unread["detail"] == f"frame 5 of {tmp_path / 'frames'} cannot be decoded"


def test_after_an_error_nothing_is_left(cameras: Path, tmp_path: Path) -> None:
    before = set(os.listdir(tmp_path))

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(config(cameras), tmp_path / "corpus", progress=interrupt)
    assert set(os.listdir(tmp_path)) == before
    write_tracks(tmp_path / "gate.txt", [*SEEN["gate"], (41, 3, 0, 0, 20, 40)])
    with pytest.raises(CorpusError, match=r"gate\.txt: line 54: frame 41 is beyond the end of"):
        ingest(config(cameras), tmp_path / "corpus")
    assert set(os.listdir(tmp_path)) == before
