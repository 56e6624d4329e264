from __future__ import annotations

import os
from pathlib import Path

import pytest

from itkm_core.collections import files
from itkm_core.collections.files import check_inside, file_stamps, normal_paths, picture_files
from itkm_core.errors import CorpusError


def test_pictures_are_found_at_any_depth_and_sorted(tree) -> None:
    root = tree(
        ["b/1.PNG", "a.jpg", "b/a/2.jpeg", "é/3.webp", "notes.txt", ".hidden.jpg", ".git/4.jpg"]
    )
    assert picture_files(root) == ["a.jpg", "b/1.PNG", "b/a/2.jpeg", "é/3.webp"]
    assert picture_files(f"file://{root}") == picture_files(root)


def test_an_object_store_is_listed_like_a_folder(tree, monkeypatch) -> None:
    paths = ["b/1.png", "a.jpg", "b/c/2.bmp", ".x/3.jpg", "t.txt"]
    root = tree(paths)
    local, stamps = picture_files(root), file_stamps(root, [*paths[:3], "none.jpg"])
    monkeypatch.setattr(files, "is_local", lambda _: False)
    assert picture_files(root) == local == ["a.jpg", "b/1.png", "b/c/2.bmp"]
    for one, other in zip(stamps, file_stamps(root, [*paths[:3], "none.jpg"]), strict=True):
        assert one.tolist() == other.tolist()


def test_what_cannot_be_listed_is_one_clear_line(tree) -> None:
    root = tree(["a.txt"])
    with pytest.raises(CorpusError, match=r"no pictures in .*expected files ending in \.jpg"):
        picture_files(root)
    with pytest.raises(CorpusError, match="does not exist"):
        picture_files(f"{root}/none")
    with pytest.raises(CorpusError, match="is not a folder"):
        picture_files(f"{root}/a.txt")


def test_links_inside_the_root_are_followed_and_loops_end(tree) -> None:
    root = tree(["real/1.jpg", "other/2.jpg"])
    os.symlink("real", f"{root}/linked")
    os.symlink("..", f"{root}/real/loop")
    os.symlink("../other/2.jpg", f"{root}/real/two.jpg")
    os.symlink("nowhere.jpg", f"{root}/dangling.jpg")
    found = picture_files(root)
    assert {"real/1.jpg", "linked/1.jpg", "real/two.jpg", "other/2.jpg"} <= set(found)
    assert "dangling.jpg" not in found
    assert len(found) < 20


@pytest.mark.parametrize("target", ["folder", "picture.jpg"])
def test_links_out_of_the_root_are_refused(tree, tmp_path: Path, target: str) -> None:
    root = tree(["in/1.jpg"])
    (tmp_path / "folder").mkdir()
    (tmp_path / "picture.jpg").write_bytes(b"x")
    os.symlink(tmp_path / target, f"{root}/in/away.jpg")
    with pytest.raises(CorpusError, match=r"in/away\.jpg leads out of the root"):
        picture_files(root)
    with pytest.raises(CorpusError, match="leads out of the root"):
        check_inside(root, ["in/away.jpg/x.jpg" if target == "folder" else "in/away.jpg"])
    check_inside(root, ["in/1.jpg"])


def test_a_root_that_is_a_link_itself_is_fine(tree, tmp_path: Path) -> None:
    root = tree(["1.jpg"])
    os.symlink(root, tmp_path / "link")
    assert picture_files(str(tmp_path / "link")) == ["1.jpg"]
    check_inside(str(tmp_path / "link"), ["1.jpg"])


def test_a_sibling_that_shares_the_roots_name_is_outside(tree, tmp_path: Path) -> None:
    root = tree(["1.jpg"])
    (tmp_path / "root-other").mkdir()
    os.symlink(tmp_path / "root-other", f"{root}/x")
    with pytest.raises(CorpusError, match="leads out of the root"):
        picture_files(root)


def test_a_name_that_is_not_utf8_is_refused(tree) -> None:
    root = tree(["1.jpg"])
    with open(os.path.join(os.fsencode(root), b"\xff.jpg"), "wb"):
        pass
    with pytest.raises(CorpusError, match="is not UTF-8"):
        picture_files(root)


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
