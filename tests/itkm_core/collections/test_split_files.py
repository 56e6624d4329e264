from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from itkm_core.collections.files import SetAside
from itkm_core.collections.shipped import Shipped
from itkm_core.collections.split_files import Part, keep_listed, read_lists, read_mat
from itkm_core.errors import CorpusError

LISTS = {"idx/a.txt": Part("train", folder="x/"), "idx/b.txt": Part("query", 1)}


def test_lists_say_what_a_picture_is_part_of(tree) -> None:
    root = Path(tree(["idx/a.txt", "idx/b.txt"]))
    (root / "idx/a.txt").write_bytes(b"\xef\xbb\xbf1/1.jpg 0\r\n1/2.jpg 0\r\n\r\n")
    (root / "idx/b.txt").write_text("2/1.jpg")
    assert read_lists(str(root), LISTS, "T") == {
        "x/1/1.jpg": LISTS["idx/a.txt"],
        "x/1/2.jpg": LISTS["idx/a.txt"],
        "2/1.jpg": LISTS["idx/b.txt"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"has no idx/b.txt; expected T as published, with idx/a.txt, idx/b.txt"),
        (b" \n", "idx/b.txt names no pictures; expected a path and a number a line"),
        (
            b"x/1.jpg 0\n",
            "idx/b.txt names x/1.jpg for the second time; expected each picture of T in one",
        ),
        (b"\xe9", "idx/b.txt of T is not text"),
    ],
)
def test_lists_that_cannot_be_used_say_why(tree, text: bytes | None, message: str) -> None:
    root = Path(tree(["idx/a.txt"]))
    (root / "idx/a.txt").write_text("1.jpg 0\n")
    if text is not None:
        (root / "idx/b.txt").write_bytes(text)
    with pytest.raises(CorpusError, match=message):
        read_lists(str(root), LISTS, "T")


def test_what_is_listed_must_be_there_and_alone_is_kept() -> None:
    shipped = Shipped(["a.jpg", "b.jpg", "c.jpg"], [SetAside("d.jpg", "outside", "leads out")])
    keep_listed(shipped, {"c.jpg": 0, "d.jpg": 0}, "root", "T")
    assert shipped.uris == ["c.jpg"]
    assert shipped.left_out == {"in no split file": (2, "a.jpg")}
    with pytest.raises(
        CorpusError,
        match=r"root lacks 2 of the 3 pictures that the split files of T name, .* e.jpg",
    ):
        keep_listed(shipped, {"c.jpg": 0, "e.jpg": 0, "../f.jpg": 0}, "root", "T")


def test_a_mat_file_that_is_none_is_one_line(tree) -> None:
    root = Path(tree(["a.mat"]))
    with pytest.raises(CorpusError, match=r"a.mat of T cannot be read as .mat"):
        read_mat(str(root), "a.mat", "T")
    with pytest.raises(CorpusError, match=r"has no b.mat; expected T"):
        read_mat(str(root), "b.mat", "T")
    scipy.io.savemat(root / "a.mat", {"id": np.arange(3)})
    assert read_mat(str(root), "a.mat", "T")["id"].tolist() == [[0, 1, 2]]
