from __future__ import annotations

import os
from pathlib import Path

import pytest

from itkm_core.collections.files import file_stamps, links_out, normal_paths
from itkm_core.errors import CorpusError


@pytest.mark.parametrize("target", ["folder", "picture.jpg"])
def test_links_out_of_the_root_are_told(tree, tmp_path: Path, target: str) -> None:
    root = tree(["in/1.jpg"])
    (tmp_path / "folder").mkdir()
    (tmp_path / "picture.jpg").write_bytes(b"x")
    os.symlink(tmp_path / target, f"{root}/in/away.jpg")
    os.symlink("1.jpg", f"{root}/in/2.jpg")
    path = "in/away.jpg/x.jpg" if target == "folder" else "in/away.jpg"
    away = links_out(root, ["in/1.jpg", path, "in/2.jpg"])
    assert list(away) == [path]
    assert f"leads out of the root {root} (to {tmp_path / target}" in away[path]


def test_a_root_that_is_a_link_itself_is_fine(tree, tmp_path: Path) -> None:
    root = tree(["1.jpg"])
    os.symlink(root, tmp_path / "link")
    assert links_out(str(tmp_path / "link"), ["1.jpg"]) == {}


def test_a_sibling_that_shares_the_roots_name_is_outside(tree, tmp_path: Path) -> None:
    root = tree(["1.jpg"])
    (tmp_path / "root-other").mkdir()
    os.symlink(tmp_path / "root-other", f"{root}/x")
    assert list(links_out(root, ["1.jpg", "x/2.jpg"])) == ["x/2.jpg"]


def test_paths_are_made_plain() -> None:
    assert normal_paths(["./a//b.jpg", "c/../d.jpg", "é.png"], "m") == ["a/b.jpg", "d.jpg", "é.png"]


@pytest.mark.parametrize(
    "path", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "..", "", ".", "s3://b/a.jpg"]
)
def test_paths_that_leave_the_root_are_refused(path: str) -> None:
    with pytest.raises(CorpusError, match=r"m\.csv: path .* leads out of the root"):
        normal_paths(["ok.jpg", path], "m.csv")


@pytest.mark.parametrize("path", ["cam1\\a.jpg", "..\\a.jpg", "C:\\a.jpg", "a\0.jpg"])
def test_separators_of_another_system_are_refused(path: str) -> None:
    with pytest.raises(
        CorpusError, match=r"has a backslash or NUL in it; expected forward slashes"
    ):
        normal_paths(["ok.jpg", path], "m.csv")


def test_a_picture_has_one_row() -> None:
    with pytest.raises(CorpusError, match=r"'a\.jpg' is listed twice \(2 such rows\)"):
        normal_paths(["b.jpg", "a.jpg", "./a.jpg", "x/../a.jpg"], "m.csv")


def test_stamps_tell_files_from_what_is_none(tree) -> None:
    root = tree(["a/1.jpg"])
    os.mkfifo(f"{root}/pipe.jpg")
    os.utime(f"{root}/a/1.jpg", ns=(5, 7_000_000_123))
    sizes, times = file_stamps(root, ["a/1.jpg", "none.jpg", "a", "pipe.jpg"])
    assert sizes.tolist() == [3, -1, -1, -1]
    assert times.tolist() == [7_000_000_123, 0, 0, 0]
