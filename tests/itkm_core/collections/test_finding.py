from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made import encoded

from itkm_core.collections import files, finding
from itkm_core.collections.files import file_stamps
from itkm_core.collections.finding import find_pictures, in_words
from itkm_core.errors import CorpusError

PICTURE = encoded(np.zeros((4, 4), np.uint8))


def picture(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(PICTURE)


def test_pictures_are_found_at_any_depth_and_sorted(tree) -> None:
    root = tree(
        ["b/1.PNG", "a.jpg", "b/a/2.jpeg", "é/3.webp", "notes.txt", ".hidden.jpg", ".git/4.jpg"]
    )
    found = find_pictures(root)
    assert found.paths == ["a.jpg", "b/1.PNG", "b/a/2.jpeg", "é/3.webp"]
    assert found.left_out == {
        "the name begins with a dot": (2, ".git"),
        "no picture": (1, "notes.txt"),
    }
    assert find_pictures(f"file://{root}") == found


def test_an_object_store_is_listed_like_a_folder(tree, monkeypatch) -> None:
    paths = ["b/1.png", "a.jpg", "b/c/2.bmp", ".x/3.jpg", "t.txt"]
    root = tree(paths)
    picture(f"{root}/b/no_suffix")
    local, stamps = find_pictures(root), file_stamps(root, [*paths[:3], "none.jpg"])
    for module in (files, finding):
        monkeypatch.setattr(module, "is_local", lambda _: False)
    remote = find_pictures(root)
    assert remote.paths == local.paths == ["a.jpg", "b/1.png", "b/c/2.bmp", "b/no_suffix"]
    assert {kind: number for kind, (number, _) in remote.left_out.items()} == {
        kind: number for kind, (number, _) in local.left_out.items()
    }
    for one, other in zip(stamps, file_stamps(root, [*paths[:3], "none.jpg"]), strict=True):
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize(
    "name", ["a.jfif", "b.JPE", "c.gif", "d.jpg_large", "e", "f.dat", "g.jpg.1"]
)
def test_a_picture_is_one_by_its_bytes(tree, kind: str, name: str) -> None:
    root = tree(["x.txt"])
    Path(root, name).write_bytes(encoded(np.zeros((4, 4), np.uint8), kind))
    assert find_pictures(root).paths == [name]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"B",
        b"BM is how this text begins, and it is none",
        b"RIFF1234WAVE",
        b"GIF88a",
        b"\xff\xd8",
    ],
)
def test_other_bytes_are_none(tree, data: bytes) -> None:
    root = tree(["a.jpg"])
    Path(root, "other").write_bytes(data)
    assert find_pictures(root).paths == ["a.jpg"]
    assert find_pictures(root).left_out == {"no picture": (1, "other")}


def test_a_suffix_that_is_asked_for_decides_alone(tree) -> None:
    root = tree(["a.jpg", "b.JPG_large", "c.txt"])
    picture(f"{root}/d")
    found = find_pictures(root, ".jpg_large", by_content=False)
    assert found.paths == ["a.jpg", "b.JPG_large"]
    assert found.left_out == {"another suffix": (2, "c.txt")}


def test_what_is_left_out_is_counted(tree) -> None:
    root = tree(["a.jpg", "x.png/inside.jpg", *(f"{number}.txt" for number in range(1200))])
    os.mkfifo(f"{root}/pipe.jpg")
    os.mkfifo(f"{root}/pipe")
    os.symlink("nowhere.jpg", f"{root}/dangling.jpg")
    os.symlink("round.jpg", f"{root}/round.jpg")
    found = find_pictures(root)
    assert found.paths == ["a.jpg", "x.png/inside.jpg"]
    assert found.aside == []
    assert in_words(found.left_out).split("; ") == [
        "'x.png': a folder named like a picture (what is in it counts by itself)",
        "'dangling.jpg' and 1 more: a link that leads nowhere",
        "'0.txt' and 1,199 more: no picture",
        "'pipe' and 1 more: no regular file",
    ]


def test_what_cannot_be_listed_is_one_clear_line(tree, monkeypatch) -> None:
    root = tree(["a.txt", "closed/b.jpg"])
    with pytest.raises(CorpusError, match="does not exist"):
        find_pictures(f"{root}/none")
    with pytest.raises(CorpusError, match="is not a folder"):
        find_pictures(f"{root}/a.txt")
    scan = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(CorpusError, match=r"closed .* cannot be listed \(Permission denied\)"):
        find_pictures(root)


def test_the_folder_that_a_disk_keeps_for_itself_stops_nothing(tree) -> None:
    root = tree(["a.jpg", "lost+found/b.jpg", "x/lost+found/c.jpg"])
    found = find_pictures(root)
    assert found.paths == ["a.jpg", "x/lost+found/c.jpg"]
    assert found.left_out == {"a disk's own folder": (1, "lost+found")}


def test_without_a_picture_it_says_what_there_is(tree) -> None:
    root = tree(["a.txt"])
    expected = r"no pictures in .*ending in \.jpg.*JPEG.* data; left out are 'a\.txt': no picture"
    with pytest.raises(CorpusError, match=expected):
        find_pictures(root)


def test_links_inside_the_root_are_followed_and_loops_end(tree) -> None:
    root = tree(["real/1.jpg", "other/2.jpg"])
    os.symlink("real", f"{root}/linked")
    os.symlink("..", f"{root}/real/loop")
    os.symlink("../other/2.jpg", f"{root}/real/two.jpg")
    found = find_pictures(root).paths
    assert {"real/1.jpg", "linked/1.jpg", "real/two.jpg", "other/2.jpg"} <= set(found)
    assert len(found) < 20


@pytest.mark.parametrize("target", ["folder", "picture.jpg", "nothing"])
def test_links_out_of_the_root_are_set_aside(tree, tmp_path: Path, target: str) -> None:
    root = tree(["in/1.jpg"])
    (tmp_path / "folder").mkdir()
    picture(str(tmp_path / "folder" / "2.jpg"))
    picture(str(tmp_path / "picture.jpg"))
    os.symlink(tmp_path / target, f"{root}/in/away.jpg")
    os.symlink(tmp_path / "notes.txt", f"{root}/in/notes.txt")
    found = find_pictures(root)
    assert found.paths == ["in/1.jpg"]
    (aside,) = found.aside
    assert (aside.uri, aside.reason) == ("in/away.jpg", "outside")
    assert f"(to {tmp_path / target})" in aside.detail
    assert list(found.left_out) == ["a link out of the root, not named like a picture"]


def test_a_root_that_is_a_link_itself_is_fine(tree, tmp_path: Path) -> None:
    root = tree(["1.jpg"])
    os.symlink(root, tmp_path / "link")
    assert find_pictures(str(tmp_path / "link")).paths == ["1.jpg"]


def test_names_that_are_not_utf8_are_set_aside(tree) -> None:
    root = tree(["1.jpg"])
    os.mkdir(os.path.join(os.fsencode(root), b"\xe9"))
    for name in (b"\xff.jpg", b"\xff.txt", b"\xe9/2.jpg", b"\xe9/no_suffix"):
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(b"x" if name.endswith(b".txt") else PICTURE)
    found = find_pictures(root)
    assert found.paths == ["1.jpg"]
    assert {(each.uri, each.reason) for each in found.aside} == {
        ("\\xff.jpg", "bad_name"),
        ("\\xe9/2.jpg", "bad_name"),
        ("\\xe9/no_suffix", "bad_name"),
    }
    assert found.left_out == {"no picture": (1, "\\xff.txt")}


def test_nothing_but_what_is_set_aside_is_for_the_limit_to_judge(tree) -> None:
    root = tree([])
    with open(os.path.join(os.fsencode(root), b"\xff.jpg"), "wb"):
        pass
    found = find_pictures(root)
    assert (found.paths, len(found.aside)) == ([], 1)
