"""LTCC, PRCC and VC-Clothes: people in the same and in other clothes."""

from __future__ import annotations

import pytest

from itkm_core.collections.collection import count_found
from itkm_core.collections.known import COLLECTIONS, list_collection
from itkm_core.errors import CorpusError

LTCC = {
    "train/000_1_c1_015833.png": ("train", 1, 1, 1, 0),
    "train/094_11_c12_015923.png": ("train", 95, 12, 11, 0),
    "query/003_2_c9_004000.png": ("query", 4, 9, 2, 0),
    "test/003_1_c10_004001.png": ("gallery", 4, 10, 1, 0),
}
PRCC = {
    "rgb/train/001/A_cropped_rgb001.jpg": ("train", 1, 1, 1, 0),
    "rgb/train/001/B_cropped_rgb210.jpg": ("train", 1, 2, 1, 0),
    "rgb/train/005/C_cropped_rgb034.jpg": ("train", 5, 3, 2, 1),
    "rgb/test/A/005/cropped_rgb001.jpg": ("gallery", 5, 1, 1, 0),
    "rgb/test/B/005/cropped_rgb001.jpg": ("query", 5, 2, 1, 0),
    "rgb/test/C/332/cropped_rgb001.jpg": ("query", 332, 3, 2, 1),
}
VC_CLOTHES = {
    "train/0001-01-01-01.jpg": ("train", 1, 1, 1, 0),
    "query/0290-04-03-02.jpg": ("query", 290, 4, 3, 0),
    "gallery/0290-03-02-11.jpg": ("gallery", 290, 3, 2, 0),
}
TREES = {"ltcc": LTCC, "prcc": PRCC, "vc-clothes": VC_CLOTHES}
NOT_READ = {
    "ltcc": ["info/cloth-change_id_train.txt"],
    "prcc": ["rgb/val/001/A_cropped_rgb002.jpg", "sketch/train/001/A_cropped_rgb001.jpg"],
    "vc-clothes": ["readme.txt"],
}


@pytest.mark.parametrize("name", TREES)
def test_names_say_split_person_camera_clothes_and_group(name: str, tree) -> None:
    listing = list_collection(name, tree([*TREES[name], *NOT_READ[name]]))
    keys = ("split", "person", "camera", "clothes", "group")
    rows = listing.rows.to_pylist()
    assert {row["uri"]: tuple(row[key] for key in keys) for row in rows} == TREES[name]
    assert {(row["scenario"], row["tracklet"], row["frame"]) for row in rows} == {(name, -1, -1)}
    assert not listing.left_out


@pytest.mark.parametrize("name", TREES)
def test_a_missing_and_an_empty_folder_are_one_line(name: str, tree) -> None:
    collection = COLLECTIONS[name]
    *_, last = TREES[name]
    folder = last.rpartition("/")[0] if name != "prcc" else "rgb/test/C"
    kept = [path for path in TREES[name] if not path.startswith(folder)]
    root = tree(kept)
    with pytest.raises(CorpusError, match=f"has no {folder}; expected {collection.title} as"):
        list_collection(name, root)
    tree([f"{folder}/Thumbs.db"])
    with pytest.raises(CorpusError, match=f"no pictures in {root}/{folder}"):
        list_collection(name, root)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ltcc", "train/094_c9_015923.png"),
        ("ltcc", "test/094_1_c9_015923.jpg"),
        ("prcc", "rgb/train/001/D_cropped_rgb001.jpg"),
        ("prcc", "rgb/train/A_cropped_rgb001.jpg"),
        ("prcc", "rgb/test/A/cropped_rgb001.jpg"),
        ("vc-clothes", "gallery/0001_01_01_01.jpg"),
    ],
)
def test_another_name_is_refused(name: str, path: str, tree) -> None:
    title = COLLECTIONS[name].title
    with pytest.raises(CorpusError, match=f"'{path}' is not a name of {title}; expected one such"):
        list_collection(name, tree([*TREES[name], path]))


@pytest.mark.parametrize("name", TREES)
def test_splits_add_up_to_what_is_published_for_all(name: str) -> None:
    *parts, whole = COLLECTIONS[name].expected
    persons = {part.split: part.persons for part in parts}
    images = [part.images for part in parts]
    if None not in images:
        assert whole.images == sum(images)
    if persons["gallery"] is not None:
        assert whole.persons == persons["train"] + persons["gallery"]


def test_counts_are_found_by_split_and_group(tree) -> None:
    rows = list_collection("prcc", tree(PRCC)).rows
    found = {each.expected.label: each for each in count_found(COLLECTIONS["prcc"].expected, rows)}
    assert (found["query, camera C"].images, found["query, camera C"].persons) == (1, 1)
    assert (found["train"].images, found["train"].persons) == (3, 2)
