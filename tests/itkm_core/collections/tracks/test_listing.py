from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made import encoded
from made_video import numbered, walk, write_tracks, write_video

from itkm_core.collections.tracks.listing import Camera, CropOptions, list_crops
from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import LISTING_SCHEMA, TRACKS_SCHEMA
from itkm_core.errors import CorpusError

EVERY = CropOptions(every=1)


@pytest.fixture
def camera(tmp_path: Path):
    """camera(boxes, ...) -> a Camera of 30 frames, 96 x 64 pixels, in which a tracker saw the boxes."""

    def made(boxes, name: str = "yard", **values) -> Camera:
        number = len(list(tmp_path.glob("*.mp4")))
        video = write_video(tmp_path / f"{number}.mp4", numbered(30))
        tracks = write_tracks(tmp_path / f"{number}.txt", boxes)
        return Camera(str(video), str(tracks), name, **values)

    return made


def test_a_row_a_crop(camera) -> None:
    yard = camera([*walk(7, 3, 5), *walk(2, 4, 4)], scenario="hall", group=1)
    found = list_crops([yard], EVERY)
    rows = found.listing.rows
    assert rows.schema == LISTING_SCHEMA
    assert rows["uri"].to_pylist() == [
        "yard/000001-00003.jpg",
        "yard/000001-00004.jpg",
        "yard/000001-00005.jpg",
        "yard/000002-00004.jpg",
    ]
    first = rows.to_pylist()[0]
    assert first == {
        "uri": "yard/000001-00003.jpg",
        "scenario": "hall",
        "group": 1,
        "camera": 1,
        "tracklet": 1,
        "frame": 3,
        "split": "train",
        "person": -1,
        "clothes": -1,
    }
    assert found.listing.camera_names == {1: "yard"}
    crop = {"video": 0, "number": 3, "left": 10, "top": 20, "right": 30, "bottom": 60}
    assert found.crops.to_pylist()[0] == crop
    assert found.tracks.schema == TRACKS_SCHEMA
    assert found.tracks.to_pylist()[0] == {
        "scenario": "hall",
        "group": 1,
        "camera": 1,
        "tracklet": 1,
        "tracks": yard.tracks,
        "tracks_digest": image_digest(Path(yard.tracks).read_bytes()).hex(),
        "video": yard.video,
        "start": None,
        "id": 7,
        "first_frame": 3,
        "last_frame": 5,
        "frame_offset": 0,
    }


def test_persons_and_split_are_those_of_the_list(camera, tmp_path: Path) -> None:
    persons = tmp_path / "persons.csv"
    persons.write_text("frame,id,person\n3,2,8\n2,7,4\n3,7,8\n")  # id 7 was mixed up
    yard = replace(camera([*walk(7, 1, 3), *walk(2, 3, 3)]), persons=str(persons), split="query")
    rows = list_crops([yard], EVERY).listing.rows
    assert set(rows["split"].to_pylist()) == {"query"}
    assert rows["frame"].to_pylist() == [1, 2, 3, 3]
    assert rows["person"].to_pylist() == [-1, 4, 8, 8]
    assert rows["tracklet"].to_pylist() == [1, 1, 1, 2]


def test_an_id_that_is_used_again_is_two_tracklets(camera) -> None:
    found = list_crops([camera([*walk(7, 1, 3), *walk(7, 12, 13)])], replace(EVERY, max_gap=8))
    assert found.listing.rows["tracklet"].to_pylist() == [1, 1, 1, 2, 2]
    spans = [(row["id"], row["first_frame"], row["last_frame"]) for row in found.tracks.to_pylist()]
    assert spans == [(7, 1, 3), (7, 12, 13)]
    one = list_crops([camera([*walk(7, 1, 3), *walk(7, 12, 13)])], replace(EVERY, max_gap=9))
    assert one.tracks.num_rows == 1


def test_the_next_video_of_a_camera_counts_on(camera) -> None:
    late = camera([*walk(1, 2, 3)], start=60.0)
    early = camera([*walk(1, 2, 3), *walk(5, 9, 9)], start=0.0)
    other = camera([*walk(1, 2, 3)], name="gate")
    found = list_crops([late, other, early], EVERY)
    rows = found.listing.rows.to_pylist()
    assert [(r["uri"], r["camera"], r["tracklet"], r["frame"]) for r in rows] == [
        ("gate/000001-00002.jpg", 1, 1, 2),
        ("gate/000001-00003.jpg", 1, 1, 3),
        ("yard/000001-00002.jpg", 2, 1, 2),
        ("yard/000001-00003.jpg", 2, 1, 3),
        ("yard/000002-00009.jpg", 2, 2, 9),
        ("yard/000003-00032.jpg", 2, 3, 32),
        ("yard/000003-00033.jpg", 2, 3, 33),
    ]
    tracks = found.tracks.to_pylist()
    assert [
        (t["tracks"], t["tracklet"], t["first_frame"], t["frame_offset"], t["start"])
        for t in tracks
    ] == [
        (other.tracks, 1, 2, 0, None),
        (early.tracks, 1, 2, 0, 0.0),
        (early.tracks, 2, 9, 0, 0.0),
        (late.tracks, 3, 2, 30, 60.0),
    ]
    assert [found.videos[video].path for video in found.crops["video"].to_pylist()][
        -1
    ] == late.video


def test_one_camera_of_two_scenarios_is_two(camera) -> None:
    found = list_crops([camera(walk(1, 2, 2), scenario=name) for name in ("a", "b")], EVERY)
    assert found.listing.rows.select(["uri", "scenario", "frame"]).to_pylist() == [
        {"uri": "yard/000001-00002.jpg", "scenario": "a", "frame": 2},
        {"uri": "yard/000001-00002.jpg", "scenario": "b", "frame": 2},
    ]


def test_cameras_that_are_numbers_keep_them(camera) -> None:
    found = list_crops([camera(walk(1, 2, 2), name="12")], EVERY)
    assert found.listing.rows["camera"].to_pylist() == [12]
    assert found.listing.camera_names == {}


def test_boxes_partly_outside_are_clipped_and_those_without_a_pixel_set_aside(camera) -> None:
    boxes = [
        (1, 1, -5, -5, 20, 40),
        (2, 1, 90, 50, 20, 40),
        (3, 1, 96, 0, 20, 40),
        (4, 1, 10, 10, 0, 40),
        (5, 1, 10, 10, 20, -40),
        (6, 1, float("nan"), 10, 20, 40),
        (7, 1, 10, 10, 20, 40),
    ]
    yard = camera(boxes, scenario="hall")
    found = list_crops([yard], EVERY)
    edges = [
        [row[name] for name in ("left", "top", "right", "bottom")]
        for row in found.crops.to_pylist()
    ]
    assert edges == [[0, 0, 15, 35], [90, 50, 96, 64], [10, 10, 30, 50]]
    aside = found.listing.aside
    assert [each.uri for each in aside] == [f"yard/000001-0000{n}.jpg" for n in (3, 4, 5, 6)]
    assert {(each.reason, each.scenario) for each in aside} == {("bad_box", "hall")}
    assert aside[0].detail == (
        f"line 3 of {yard.tracks}: the box [96.0, 0.0, 20.0, 40.0] in a frame of 96 x 64 pixels"
    )


def test_limits(camera) -> None:
    yard = camera([(1, 1, 0, 0, 20, 30), (2, 1, 0, 40, 20, 30), (3, 1, 0, 0, 20, 20)])
    assert list_crops([yard], replace(EVERY, min_height=24)).crops["number"].to_pylist() == [1, 2]
    assert list_crops([yard], replace(EVERY, min_height=25)).crops["number"].to_pylist() == [1]
    with pytest.raises(CorpusError, match=r"heights go up to 30 pixels and confidences up to 0\.9"):
        list_crops([yard], replace(EVERY, min_height=31))
    assert list_crops([yard], replace(EVERY, min_confidence=0.9)).crops.num_rows == 3
    with pytest.raises(CorpusError, match=r"min_height \(0\) or min_confidence \(0\.95\)"):
        list_crops([yard], replace(EVERY, min_confidence=0.95))
    unknown = write_tracks(Path(yard.tracks), [(1, 1, 0, 0, 20, 30)], conf=-1)
    assert list_crops([yard], EVERY).crops.num_rows == 1
    with pytest.raises(CorpusError, match=r"confidences up to -1 \(-1: unknown\)"):
        list_crops([replace(yard, tracks=str(unknown))], replace(EVERY, min_confidence=0.1))


def test_every_and_per_tracklet(camera) -> None:
    yard = camera([*walk(1, 1, 25), *walk(2, 6, 9)])
    assert list_crops([yard], CropOptions(every=5)).crops["number"].to_pylist() == [
        1,
        6,
        11,
        16,
        21,
        6,
    ]
    spread = list_crops([yard], CropOptions(per_tracklet=4))
    assert spread.listing.rows["frame"].to_pylist() == [1, 9, 17, 25, 6, 7, 8, 9]


def test_frames_beyond_the_end(camera) -> None:
    yard = camera([*walk(1, 29, 33)])
    with pytest.raises(CorpusError) as caught:
        list_crops([yard], EVERY)
    assert str(caught.value).startswith(
        f"{yard.tracks}: line 3: frame 31 is beyond the end of {yard.video}, which has 30 frames;"
    )


def test_a_folder_of_frames(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    for number, picture in enumerate(numbered(3), start=1):
        (tmp_path / "img1" / f"{number:06d}.png").write_bytes(encoded(picture))
    tracks = write_tracks(tmp_path / "gt.txt", walk(1, 2, 3))
    found = list_crops([Camera(str(tmp_path / "img1"), str(tracks), "1")], EVERY)
    assert found.videos[0].names == ("000001.png", "000002.png", "000003.png")
    assert found.crops["number"].to_pylist() == [2, 3]
