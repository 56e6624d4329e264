from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from itkm_core.collections import cuhk03
from itkm_core.collections.known import list_collection
from itkm_core.collections.shipped import Shipped
from itkm_core.errors import CorpusError

# Name, person, camera, split.
PICTURES = [
    ("1_001_1_01.png", 1, 1, "train"),
    ("1_001_2_06.png", 1, 2, "train"),
    ("1_002_1_01.png", 2, 1, "query"),
    ("1_002_1_02.png", 2, 1, "gallery"),
    ("5_049_2_10.png", 1467, 2, "gallery"),
]


def write_split(root: Path, boxes: str, pictures: list[tuple[str, int, int, str]]) -> None:
    """The split file as its authors ship it: columns, numbered from 1, and a cell for each name."""
    names = np.empty((len(pictures), 1), dtype=object)
    names[:, 0] = [name for name, *_ in pictures]
    index = {
        f"{split}_idx": np.array(
            [[place + 1] for place, each in enumerate(pictures) if each[3] == split], np.uint16
        )
        for split in cuhk03.SPLITS
    }
    people, cameras = (np.array([[each[place]] for each in pictures]) for place in (1, 2))
    path = root / f"cuhk03_new_protocol_config_{boxes}.mat"
    scipy.io.savemat(
        path,
        {
            "filelist": names,
            "labels": people.astype(np.uint16),
            "camId": cameras.astype(np.uint8),
            **index,
        },
    )


@pytest.fixture
def root(tree) -> Path:
    names = [f"images_{boxes}/{name}" for boxes in cuhk03.BOXES for name, *_ in PICTURES]
    root = Path(tree([*names, "images_labeled/1_003_1_01.png"]))
    write_split(root, "detected", PICTURES)
    write_split(
        root, "labeled", [(*each[:3], "train" if each[1] == 1 else "query") for each in PICTURES]
    )
    return root


def test_the_split_file_of_the_boxes_is_read(root: Path) -> None:
    keys = ("uri", "person", "camera", "split")
    rows = list_collection("cuhk03", str(root)).rows
    assert [tuple(row[key] for key in keys) for row in rows.to_pylist()] == [
        (f"images_detected/{name}", *more) for name, *more in PICTURES
    ]
    listing = list_collection("cuhk03", str(root), variant="labeled")
    assert [tuple(row[key] for key in keys[1:]) for row in listing.rows.to_pylist()] == [
        (person, camera, "train" if person == 1 else "query") for _, person, camera, _ in PICTURES
    ]
    assert listing.left_out == {"in no split file": (1, "images_labeled/1_003_1_01.png")}


def test_what_is_missing_is_one_line(root: Path) -> None:
    (root / "images_detected/1_001_2_06.png").unlink()
    with pytest.raises(
        CorpusError,
        match=r"lacks 1 of the 5 pictures .* the first of them images_detected/1_001_2_06",
    ):
        list_collection("cuhk03", str(root))
    (root / "cuhk03_new_protocol_config_labeled.mat").unlink()
    with pytest.raises(
        CorpusError, match=r"has no cuhk03_new_protocol_config_labeled.mat; expected CUHK03"
    ):
        list_collection("cuhk03", str(root), variant="labeled")


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([("1_001_1_01.png", 1, 1, "test")], "1_001_1_01.png is in none"),
        ([], "is no split file of CUHK03's new protocol"),
    ],
)
def test_another_split_file_is_one_line(root: Path, pictures, message: str) -> None:
    write_split(root, "detected", pictures)
    if not pictures:
        scipy.io.savemat(root / "cuhk03_new_protocol_config_detected.mat", {"labels": np.arange(3)})
    with pytest.raises(CorpusError, match=message) as raised:
        list_collection("cuhk03", str(root))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("boxes", cuhk03.BOXES)
def test_the_published_splits(published, check_counts, monkeypatch, boxes: str) -> None:
    root = published("cuhk03-np")
    listed = cuhk03.read_split(
        str(root), f"cuhk03_new_protocol_config_{boxes}.mat", f"images_{boxes}"
    )
    monkeypatch.setattr(cuhk03, "pictures_in", lambda *_: Shipped(sorted(listed)))
    rows = cuhk03.read(str(root), "cuhk03", boxes).rows
    check_counts(cuhk03.COLLECTION, rows, boxes)
    for uri, (_, _, camera) in listed.items():
        assert int(uri.split("_")[3]) == camera
