"""Places that cannot be written: one clear error, and nothing left behind."""

from __future__ import annotations

import errno
import os

import pyarrow as pa
import pytest

from itkm_core.errors import StorageError
from itkm_core.storage import place as storage
from itkm_core.storage.place import Place


def test_a_full_disk_is_one_error_and_leaves_no_half_file(tmp_path, monkeypatch):
    place = Place.at(tmp_path) / "round" / "labels"
    place.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "replace", full)
    with pytest.raises(StorageError, match=r"No space left on device.*has room"):
        place.write_bytes(b"after")
    assert place.read_bytes() == b"before"
    assert os.listdir(tmp_path / "round") == ["labels"]


def test_a_folder_that_cannot_be_cleared_is_one_error(tmp_path):
    (tmp_path / "step").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError, match=r"cannot write .*step"):
        Place.at(tmp_path / "step").clear()
    cleared = Place.at(tmp_path / "other").clear()
    assert not cleared.names()


def test_one_folder_has_many_addresses(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert Place.at(tmp_path / "there").is_same(Place.at(f"file://{tmp_path}/link"))
    assert not Place.at(tmp_path / "there").is_same(Place.at(tmp_path / "there" / "x"))
    options = "region=eu-west-1&endpoint_override=localhost:1"
    store = Place.at(f"s3://bucket/x/?{options}")
    assert store.is_same(Place.at(f"s3://bucket/x?{options}&scheme=http"))
    assert not store.is_same(Place.at(tmp_path))
    assert (store / "a" / "b").parent.parent == store


def test_only_what_is_named_is_cleared(tmp_path):
    for name in ("a.json", "b.json", "mine.txt", "sub/a.json", "mine/a.json"):
        (Place.at(tmp_path) / name).write_bytes(b"x")
    left = Place.at(tmp_path).clear("*.json", "sub", "gone")
    assert left.names() == ["mine", "mine.txt"]
    assert (left / "mine").names() == ["a.json"]


def test_a_table_has_no_columns_but_its_own(tmp_path):
    """Also at `label=1`, which pyarrow takes for a column of a partitioned dataset."""
    table = pa.table({"label": [3, 4], "x": [1.0, 2.0]})
    file = Place.at(tmp_path) / "label=1" / "y=2" / "t.parquet"
    file.write_table(table)
    assert file.read_table() == table
    assert file.read_table(columns=["label"])["label"].to_pylist() == [3, 4]
