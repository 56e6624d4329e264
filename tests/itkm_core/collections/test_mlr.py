"""MLR-CUHK03, MLR-Market1501 and CAVIAR4REID: people in two resolutions."""

from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.collections import caviar
from itkm_core.collections.collection import count_found
from itkm_core.collections.known import COLLECTIONS, list_collection
from itkm_core.errors import CorpusError

# (split, person, camera, group); of CUHK03, people from 0, of Market-1501 camera 3 is the low-resolution one.
CUHK03 = {
    "bounding_box_train/00000_c0_00000.jpg": ("train", 1, 0, 1),
    "bounding_box_train/00000_c1_00004.jpg": ("train", 1, 1, 0),
    "query/01466_c0_00002.png": ("query", 1467, 0, 1),
    "bounding_box_test/01466_c1_00007.png": ("gallery", 1467, 1, 0),
}
MARKET1501 = {
    "bounding_box_train/0002_c3s1_000451_03.jpg": ("train", 2, 3, 1),
    "bounding_box_train/0002_c1s1_000451_03.jpg": ("train", 2, 1, 0),
    "query/0001_c3s1_000001_00.jpg": ("query", 1, 3, 1),
    "bounding_box_test/0001_c6s1_000001_00.jpg": ("gallery", 1, 6, 0),
    "bounding_box_test/0000_c3s1_000151_01.jpg": ("gallery", 0, 3, 0),
    "bounding_box_test/-1_c3s1_000401_03.jpg": ("gallery", -1, 3, 0),
}
TREES = {"mlr-cuhk03": CUHK03, "mlr-market1501": MARKET1501}


@pytest.mark.parametrize("name", TREES)
def test_the_cameras_of_query_are_in_low_resolution(name: str, tree) -> None:
    rows = list_collection(name, tree(TREES[name])).rows.to_pylist()
    keys = ("split", "person", "camera", "group")
    assert {row["uri"]: tuple(row[key] for key in keys) for row in rows} == TREES[name]
    assert {(row["scenario"], row["clothes"], row["tracklet"]) for row in rows} == {(name, -1, -1)}


@pytest.mark.parametrize("name", TREES)
def test_a_camera_that_asks_and_answers_tells_no_resolution(name: str, tree) -> None:
    root = tree([*TREES[name], "query/0007_c1_00000.jpg", "bounding_box_test/0008_c1_00000.jpg"])
    with pytest.raises(
        CorpusError, match=r"camera 1 in query and in bounding_box_test.*--derive mlr"
    ):
        list_collection(name, root)


@pytest.mark.parametrize("name", TREES)
def test_a_missing_folder_and_another_name_are_one_line(name: str, tree) -> None:
    root = tree([path for path in TREES[name] if not path.startswith("query")])
    title = COLLECTIONS[name].title
    with pytest.raises(CorpusError, match=f"has no query; expected {title} as published"):
        list_collection(name, root)
    tree([*TREES[name], "query/0020/00020_c0_00000.jpg"])
    with pytest.raises(
        CorpusError, match=f"'query/0020/00020_c0_00000.jpg' is not a name of {title}"
    ):
        list_collection(name, root)


def caviar_tree(root: Path, people: int, far: int, alone: int = 2) -> Path:
    """The published names. Most files of the far camera are smaller; the last `alone` people are before one camera."""
    for person in range(1, people + alone + 1):
        for picture in range(1, 21 if person <= people else 11):
            size = 40 if (1 if picture <= 10 else 2) == far else 90
            data = b"x" * (200 if picture % 10 == 3 else size + person % 3)
            (root / f"{person:04d}{picture:03d}.jpg").write_bytes(data)
    return root


@pytest.mark.parametrize("far", [1, 2])
def test_caviar_has_a_near_and_a_far_camera(far: int, tmp_path: Path) -> None:
    listing = list_collection("caviar", str(caviar_tree(tmp_path, people=50, far=far, alone=22)))
    rows = listing.rows.to_pylist()
    for row in rows:
        picture = int(row["uri"][4:7])
        assert row["person"] == int(row["uri"][:4]) <= 50
        assert row["camera"] == (1 if picture <= 10 else 2)
        assert row["group"] == int(row["camera"] == far)
        assert row["split"] in ("train", "query" if row["group"] else "gallery")
    assert listing.left_out == {"of a person whom one camera alone saw": (220, "0051001.jpg")}
    for found in count_found(COLLECTIONS["caviar"].expected, listing.rows, "1"):
        assert (found.images, found.persons) == (found.expected.images, found.expected.persons)


def test_splits_of_caviar_differ_and_are_the_same_every_time(tmp_path: Path) -> None:
    root = str(caviar_tree(tmp_path, people=10, far=2))

    def training(variant: str) -> frozenset[int]:
        rows = list_collection("caviar", root, variant=variant).rows.to_pylist()
        return frozenset(row["person"] for row in rows if row["split"] == "train")

    drawn = [training(variant) for variant in caviar.SPLITS]
    assert [len(people) for people in drawn] == [5] * 10
    assert len(set(drawn)) > 5
    assert [training(variant) for variant in caviar.SPLITS] == drawn


def test_caviar_in_a_folder_below_and_what_is_no_caviar(tmp_path: Path) -> None:
    below = tmp_path / "CAVIAR4REID"
    below.mkdir()
    caviar_tree(below, people=2, far=2)
    assert (
        list_collection("caviar", str(tmp_path))
        .rows["uri"][0]
        .as_py()
        .startswith("CAVIAR4REID/0001001")
    )
    for picture in below.glob("????01[1-9].jpg"):
        picture.unlink()
    for picture in below.glob("????020.jpg"):
        picture.unlink()
    with pytest.raises(CorpusError, match="has nobody in pictures 001 to 010 and in 011 to 020"):
        list_collection("caviar", str(tmp_path))
    (below / "person3.jpg").write_bytes(b"x")
    with pytest.raises(
        CorpusError, match=r"'CAVIAR4REID/person3.jpg' is not a name of CAVIAR4REID"
    ):
        list_collection("caviar", str(tmp_path))
    with pytest.raises(CorpusError, match="does not exist"):
        list_collection("caviar", str(tmp_path / "elsewhere"))
