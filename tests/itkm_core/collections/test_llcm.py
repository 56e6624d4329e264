from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from itkm_core.collections.known import list_collection
from itkm_core.errors import CorpusError

LISTS = {
    "idx/train_vis.txt": [
        "vis/0001/0001_c01_s185535_f7010_vis.jpg",
        "vis/0001/0001_c09_s185535_f7030_vis.jpg",
    ],
    "idx/train_nir.txt": ["nir/0001/0001_c01_s185900_f0010_nir.jpg"],
    "idx/test_vis.txt": ["vis/0351/0351_c06_s200101_f0001_vis.jpg"],
    "idx/test_nir.txt": [
        "nir/0351/0351_c06_s200656_f4830_nir.jpg",
        "nir/0351/0351_c02_s200656_f4840_nir.jpg",
    ],
}
# The archive holds the test pictures once more, by camera.
AGAIN = ["test_vis/cam6/0351/0351_c06_s200101_f0001_vis.jpg"]


@pytest.fixture
def root(tree) -> Path:
    root = Path(
        tree([*itertools.chain(*LISTS.values()), *AGAIN, "nir/0009/0009_c01_s1_f1_nir.jpg"])
    )
    (root / "idx").mkdir()
    for path, names in LISTS.items():
        (root / path).write_text("".join(f"{name} 0\n" for name in names))
    return root


def test_lists_and_names_say_what_a_picture_is(root: Path) -> None:
    listing = list_collection("llcm", str(root))
    keys = ("uri", "split", "group", "camera", "person")
    assert {tuple(row[key] for key in keys) for row in listing.rows.to_pylist()} == {
        (LISTS["idx/train_vis.txt"][0], "train", 0, 1, 1),
        (LISTS["idx/train_vis.txt"][1], "train", 0, 9, 1),
        (LISTS["idx/train_nir.txt"][0], "train", 1, 1, 1),
        (LISTS["idx/test_vis.txt"][0], "gallery", 0, 6, 351),
        (LISTS["idx/test_nir.txt"][0], "query", 1, 6, 351),
        (LISTS["idx/test_nir.txt"][1], "query", 1, 2, 351),
    }
    assert listing.left_out == {"in no split file": (1, "nir/0009/0009_c01_s1_f1_nir.jpg")}


def test_what_is_missing_is_one_line(root: Path) -> None:
    (root / LISTS["idx/test_nir.txt"][1]).unlink()
    with pytest.raises(
        CorpusError, match=r"lacks 1 of the 6 pictures .* of LLCM name, the first of them nir/0351/"
    ):
        list_collection("llcm", str(root))
    (root / "idx/test_vis.txt").unlink()
    with pytest.raises(CorpusError, match=r"has no idx/test_vis.txt; expected LLCM as published"):
        list_collection("llcm", str(root))
    with pytest.raises(
        CorpusError, match=r"has no idx/train_vis.txt and no .* expected LLCM as published"
    ):
        list_collection("llcm", str(root / "vis"))


@pytest.mark.parametrize("path", ["vis/0351/0001.jpg", "vis/0351_c06_s1_f1_vis.jpg"])
def test_another_path_is_refused(root: Path, path: str) -> None:
    (root / path).touch()
    (root / "idx/test_vis.txt").write_text(f"{path} 0\n")
    with pytest.raises(CorpusError, match="is not a name of LLCM; expected one such as nir/0351"):
        list_collection("llcm", str(root))
