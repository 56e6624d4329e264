"""Room on a node's disks, and in volumes with a limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.doctor import disks as doctor_disks
from pipelines.doctor.disks import CACHE_LIMIT, TMP_LIMIT, cache, disk, quantity, spill, taken

BLOCK = 1 << 16  # bytes; larger than any file system's unit of space


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("123", 123),
        ("100Gi", 100 * 1024**3),
        ("50G", 50 * 1000**3),
        ("512Mi", 512 * 1024**2),
        ("4Ki", 4096),
        ("4k", 4000),
        ("1.5Ti", 3 * 1024**4 // 2),
        (".5Pi", 1024**5 // 2),
        ("2.E", 2 * 1000**6),
        ("1E", 1000**6),
        ("1E3", 1000),
        ("2e9", 2 * 10**9),
        ("12e-1", 1),
    ],
)
def test_quantities_of_kubernetes(text: str, number: int) -> None:
    assert quantity(CACHE_LIMIT, text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "Gi", "100GiB", "100GB", "100 Gi", "100gi", "4K", "1,5Gi", "-1Gi"),
        *("100m", "1e3Gi", "1_000", "0x10", "inf", "nan", ".", "١Gi", "1Gi\n", "1e999"),
    ],
)
def test_what_is_none_is_refused_with_what_was_seen(text: str) -> None:
    with pytest.raises(ValueError, match=r"ITKM_TMP_LIMIT is .*; expected .* 100Gi") as error:
        quantity(TMP_LIMIT, text)
    assert repr(text) in str(error.value)


def slow_taken(folder: Path) -> int:
    """By inode, each once."""
    entries = [os.lstat(path) for path in (folder, *folder.rglob("*"))]
    return 512 * sum({entry.st_ino: entry.st_blocks for entry in entries}.values())


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A volume with three blocks in two files, one of which has two names; a link that leads out; a file of a hole."""
    folder = tmp_path / "volume"
    (folder / "itkm" / "digest").mkdir(parents=True)
    (folder / "numba").mkdir()
    (folder / "itkm" / "digest" / "part-00000.arrow").write_bytes(os.urandom(BLOCK))
    (folder / "numba" / "kernel").write_bytes(os.urandom(2 * BLOCK))
    os.link(folder / "numba" / "kernel", folder / "numba" / "again")
    (tmp_path / "outside").write_bytes(os.urandom(8 * BLOCK))
    (folder / "numba" / "out").symlink_to(tmp_path)
    with (folder / "hole").open("wb") as file:
        file.truncate(1 << 34)
    return folder


def test_what_lies_in_a_folder_is_counted_as_the_disk_has_it(filled: Path) -> None:
    assert taken(filled) == slow_taken(filled)
    assert 3 * BLOCK <= taken(filled) < 8 * BLOCK
    assert taken(filled / "none") == 0


def test_another_disk_below_the_folder_is_not_counted(filled: Path, monkeypatch) -> None:
    before = taken(filled)
    real = os.lstat
    inside = slow_taken(filled / "numba")

    def lstat(path):
        found = real(path)
        if Path(path) != filled / "numba":
            return found
        return os.stat_result((*found[:2], found.st_dev + 1, *found[3:10]))

    monkeypatch.setattr(doctor_disks.os, "lstat", lstat)
    assert taken(filled) == before - inside


def test_the_room_of_a_limited_cache_counts_all_of_its_volume(filled: Path, monkeypatch) -> None:
    """ITKM_CACHE is one folder of the volume, which may not be there yet; the kubelet counts the others with it."""
    monkeypatch.setattr(doctor_disks.os.path, "ismount", lambda path: Path(path) == filled)
    monkeypatch.setenv("ITKM_CACHE", str(filled / "itkm"))
    monkeypatch.delenv(CACHE_LIMIT, raising=False)
    assert cache(None).keys() == {"path", "free", "total", "writable", "have"}
    monkeypatch.setenv(CACHE_LIMIT, "1Mi")
    found = cache({"digest": "digest"})
    assert (found["limit"], found["taken"]) == (1 << 20, slow_taken(filled))
    assert (found["have"], found["writable"]) == (BLOCK, True)
    monkeypatch.setenv("ITKM_CACHE", str(filled / "later" / "itkm"))
    found = cache({"digest": "digest"})
    assert (found["taken"], found["have"]) == (slow_taken(filled), 0)


def test_the_room_for_spilling_has_a_limit_of_its_own(filled: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor_disks.os.path, "ismount", lambda path: Path(path) == filled)
    monkeypatch.setenv(CACHE_LIMIT, "1Mi")
    monkeypatch.setenv(TMP_LIMIT, "2Mi")
    found = spill(str(filled / "ray" / "session"))
    assert (found["limit"], found["taken"]) == (2 << 20, slow_taken(filled))
    assert spill("") == {}
    monkeypatch.setenv(TMP_LIMIT, "0")  # none, as in a manifest
    assert "limit" not in spill(str(filled))
    monkeypatch.setenv(TMP_LIMIT, "2MiB")
    with pytest.raises(ValueError, match="'2MiB'"):
        spill(str(filled))


def test_without_a_volume_of_its_own_the_folder_is_counted(filled: Path, monkeypatch) -> None:
    """And never the whole system, whose root is a mount too."""
    monkeypatch.setattr(doctor_disks.os.path, "ismount", lambda path: Path(path) == Path("/"))
    monkeypatch.setenv(TMP_LIMIT, "2Mi")
    assert disk(str(filled / "numba"), TMP_LIMIT)["taken"] == slow_taken(filled / "numba")
    assert disk(str(filled / "none"), TMP_LIMIT)["taken"] == 0
