from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from itkm_core.collections import msmt17, split_files
from itkm_core.collections.known import list_collection
from itkm_core.collections.shipped import Shipped
from itkm_core.errors import CorpusError

LISTS = {
    "list_train.txt": [
        "0000/0000_045_12_0303morning_0006_2.jpg",
        "0001/0001_000_01_0303noon_0009_1.jpg",
    ],
    "list_val.txt": ["0000/0000_014_04_0303morning_0020_2_ex.jpg"],
    "list_query.txt": ["0000/0000_000_15_0303morning_0015_0.jpg"],
    "list_gallery.txt": [
        "0000/0000_008_01_0303morning_0019_2.jpg",
        "0001/0001_008_02_0303morning_0019_2.jpg",
    ],
}
HALVES = {"list_train.txt": 0, "list_val.txt": 0, "list_query.txt": 1, "list_gallery.txt": 1}


def make(tree, folders: tuple[str, str]) -> Path:
    names = [f"{folders[HALVES[path]]}/{name}" for path, listed in LISTS.items() for name in listed]
    root = Path(tree([*names, f"{folders[0]}/0002/0002_000_01_0303noon_0009_1.jpg"]))
    for path, listed in LISTS.items():
        (root / path).write_text("".join(f"{name} {int(name[:4])}\n" for name in listed))
    return root


def test_a_wrong_root_is_one_line(tree) -> None:
    root = make(tree, msmt17.FOLDERS["v2"])
    with pytest.raises(CorpusError, match=r"has no list_train.txt and no .* expected MSMT17 as"):
        list_collection("msmt17", str(root / "mask_train_v2"))
    (root / "mask_test_v2").rename(root / "elsewhere")
    with pytest.raises(CorpusError, match=r"has no mask_test_v2; expected MSMT17 as published"):
        list_collection("msmt17", str(root))


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_the_halves_are_different_people(tree, version: str) -> None:
    train, test = msmt17.FOLDERS[version]
    listing = list_collection("msmt17", str(make(tree, (train, test))), variant=version)
    keys = ("uri", "split", "camera", "person")
    assert {tuple(row[key] for key in keys) for row in listing.rows.to_pylist()} == {
        (f"{train}/{LISTS['list_train.txt'][0]}", "train", 12, 1),
        (f"{train}/{LISTS['list_train.txt'][1]}", "train", 1, 2),
        (f"{train}/{LISTS['list_val.txt'][0]}", "train", 4, 1),
        (f"{test}/{LISTS['list_query.txt'][0]}", "query", 15, 1042),
        (f"{test}/{LISTS['list_gallery.txt'][0]}", "gallery", 1, 1042),
        (f"{test}/{LISTS['list_gallery.txt'][1]}", "gallery", 2, 1043),
    }
    assert listing.left_out == {
        "in no split file": (1, f"{train}/0002/0002_000_01_0303noon_0009_1.jpg")
    }


def test_what_is_missing_is_one_line(tree) -> None:
    root = make(tree, msmt17.FOLDERS["v1"])
    with pytest.raises(CorpusError, match=r"has train and no mask_train_v2, .* say --variant v1"):
        list_collection("msmt17", str(root))
    (root / "test/0001/0001_008_02_0303morning_0019_2.jpg").unlink()
    with pytest.raises(
        CorpusError, match=r"lacks 1 of the 6 pictures .* the first of them test/0001/0001_008_02_"
    ):
        list_collection("msmt17", str(root), variant="v1")
    (root / "list_val.txt").unlink()
    with pytest.raises(CorpusError, match=r"has no list_val.txt; expected MSMT17 as published"):
        list_collection("msmt17", str(root), variant="v1")


def test_another_path_is_refused(tree) -> None:
    root = make(tree, msmt17.FOLDERS["v2"])
    (root / "mask_test_v2/0000/0000_c1.jpg").touch()
    (root / "list_query.txt").write_text("0000/0000_c1.jpg 0\n")
    with pytest.raises(
        CorpusError, match=r"'mask_test_v2/0000/0000_c1.jpg' is not a name of MSMT17"
    ):
        list_collection("msmt17", str(root))


def test_the_published_lists(published, check_counts, monkeypatch) -> None:
    root = published("msmt17")
    names = [
        f"{msmt17.FOLDERS['v2'][half]}/{line.split()[0]}"
        for path, half in HALVES.items()
        for line in (root / path).read_text().splitlines()
    ]
    assert len(names) == 126_441
    monkeypatch.setattr(split_files, "pictures_in", lambda *_: Shipped(sorted(names)))
    rows = msmt17.read(str(root), "msmt17", "v2").rows
    check_counts(msmt17.COLLECTION, rows, "v2")
    assert np.unique(rows["camera"].to_numpy()).tolist() == list(range(1, 16))
    assert np.unique(rows["person"].to_numpy()).tolist() == list(range(1, 4_102))
