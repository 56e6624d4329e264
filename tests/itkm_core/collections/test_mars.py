from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from itkm_core.collections.known import list_collection
from itkm_core.errors import CorpusError

# Tracklets as (person, camera, number of pictures), in the order of the lists.
TRAIN = [("0001", 1, 3), ("0001", 2, 1), ("0003", 1, 2)]
TEST = [("00-1", 1, 2), ("0000", 6, 1), ("0002", 1, 2), ("0002", 1, 1), ("0002", 4, 3)]
QUERIES = [3, 5]  # from 1


def names_of(tracks: list[tuple[str, int, int]]) -> list[str]:
    return [
        f"{person}C{camera}T{number:04d}F{picture:03d}.jpg"
        for number, (person, camera, pictures) in enumerate(tracks, start=1)
        for picture in range(1, pictures + 1)
    ]


def table_of(tracks: list[tuple[str, int, int]]) -> np.ndarray:
    last = np.cumsum([pictures for *_, pictures in tracks])
    first = np.concatenate([[0], last[:-1]]) + 1
    people = [-1 if person == "00-1" else int(person) for person, *_ in tracks]
    return np.stack([first, last, people, [camera for _, camera, _ in tracks]], axis=1)


@pytest.fixture
def root(tree) -> Path:
    root = Path(tree([f"bbox_train/{name[:4]}/{name}" for name in names_of(TRAIN)]))
    tree([f"bbox_test/{name[:4]}/{name}" for name in names_of(TEST)])
    (root / "info").mkdir()
    for part, tracks in (("train", TRAIN), ("test", TEST)):
        (root / f"info/{part}_name.txt").write_text("\r\n".join(names_of(tracks)) + "\r\n")
        save(root, f"tracks_{part}_info", f"track_{part}_info", table_of(tracks).astype(np.int32))
    save(root, "query_IDX", "query_IDX", np.array([QUERIES], np.uint16))
    return root


def save(root: Path, file: str, variable: str, values: np.ndarray) -> None:
    scipy.io.savemat(root / f"info/{file}.mat", {variable: values})


def test_lists_say_the_tracklets_and_the_queries(root: Path, tree) -> None:
    tree(["bbox_test/0002/0002C1T0099F001.jpg"])  # in no list
    listing = list_collection("mars", str(root))
    expected = {}
    for part, tracks, before in (("train", TRAIN, 0), ("test", TEST, len(TRAIN))):
        names = iter(names_of(tracks))
        for number, (person, camera, pictures) in enumerate(tracks, start=1):
            split = "train" if part == "train" else "query" if number in QUERIES else "gallery"
            who = -1 if person == "00-1" else int(person)
            for _ in range(pictures):
                uri = f"bbox_{part}/{person}/{next(names)}"
                expected[uri] = (split, who, camera, before + number, -1, 0)
    keys = ("split", "person", "camera", "tracklet", "frame", "group")
    rows = listing.rows.to_pylist()
    assert {row["uri"]: tuple(row[key] for key in keys) for row in rows} == expected
    assert listing.left_out == {"in no split file": (1, "bbox_test/0002/0002C1T0099F001.jpg")}


def test_a_picture_of_no_tracklet_is_of_the_gallery(root: Path) -> None:
    save(root, "tracks_test_info", "track_test_info", np.delete(table_of(TEST), 1, axis=0))
    save(root, "query_IDX", "query_IDX", np.array([[4]]))
    rows = {row["uri"]: row for row in list_collection("mars", str(root)).rows.to_pylist()}
    row = rows["bbox_test/0000/0000C6T0002F001.jpg"]
    assert [row[key] for key in ("split", "person", "camera", "tracklet")] == ["gallery", 0, 6, -1]


@pytest.mark.parametrize(
    "missing", ["info/query_IDX.mat", "info/test_name.txt", "info/tracks_train_info.mat"]
)
def test_a_missing_list_is_one_line(missing: str, root: Path) -> None:
    (root / missing).unlink()
    with pytest.raises(CorpusError, match=f"has no {missing}; expected MARS as published, with"):
        list_collection("mars", str(root))


def test_a_half_extracted_archive_is_one_line(root: Path) -> None:
    (root / "bbox_test/0002/0002C4T0005F003.jpg").unlink()
    with pytest.raises(
        CorpusError, match=r"lacks 1 of the 15 pictures .* bbox_test/0002/0002C4T0005F003"
    ):
        list_collection("mars", str(root))


def test_lists_that_contradict_each_other_are_one_line(root: Path) -> None:
    def refused(match: str) -> None:
        with pytest.raises(CorpusError, match=match):
            list_collection("mars", str(root))

    save(root, "query_IDX", "query_IDX", np.array([[6]]))
    refused("names no queries among 5 test tracklets")
    save(root, "query_IDX", "query_IDX", np.array([QUERIES]))
    table = table_of(TEST)
    table[-1, 3] = 5
    save(root, "tracks_test_info", "track_test_info", table)
    refused("'bbox_test/0002/0002C4T0005F001.jpg' is of person 2 and camera 5 by the tracklets")
    table[-1, 1] += 1
    save(root, "tracks_test_info", "track_test_info", table)
    refused("tracks_test_info.mat has tracklets of other pictures than the 9 in info/test_name.txt")
    save(root, "tracks_test_info", "another", table)
    refused("tracks_test_info.mat of MARS has no table; expected the variable track_test_info")
    (root / "info/tracks_test_info.mat").write_text("<html>")
    refused("tracks_test_info.mat of MARS cannot be read as .mat")


def test_another_name_is_refused(root: Path, tree) -> None:
    tree(["bbox_train/0001/0001C7T0001F001.jpg"])
    with (root / "info/train_name.txt").open("a") as file:
        file.write("0001C7T0001F001.jpg\n")
    with pytest.raises(CorpusError, match=r"0001C7T0001F001.jpg' is not a name of MARS"):
        list_collection("mars", str(root))
