from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import fs

from itkm_core.corpus.paths import exists, is_local, join, read_bytes, resolve, write_bytes
from itkm_core.errors import StorageError


def test_a_plain_path_is_made_absolute(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    filesystem, inner = resolve("a/../b")
    assert isinstance(filesystem, fs.LocalFileSystem)
    assert inner == str(tmp_path / "b")
    assert resolve("~/x")[1] == str(tmp_path / "home" / "x")
    assert resolve(f"file://{tmp_path}/c/")[1] == str(tmp_path / "c")


@pytest.mark.parametrize("uri", ["nosuch://bucket/x", "s3://"])
def test_an_unknown_place_is_one_clear_line(uri: str) -> None:
    with pytest.raises(StorageError, match="a URI such as s3://"):
        resolve(uri)


def test_parts_go_before_a_uris_options() -> None:
    uri = "s3://bucket/corpus?endpoint_override=localhost:9000"
    assert (
        join(uri, "a", "b.json") == "s3://bucket/corpus/a/b.json?endpoint_override=localhost:9000"
    )
    assert join("/x", "a") == "/x/a"
    assert is_local("x?y")
    assert is_local("file:///x")
    assert not is_local(uri)


def test_bytes_are_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.gz"
    assert not exists(path)
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    # Not taken for a compressed file because of its name.
    assert read_bytes(path) == b"two"
    assert exists(path)
    assert [p.name for p in path.parent.iterdir()] == ["file.gz"]
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")
