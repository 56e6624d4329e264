from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyarrow import fs

from itkm_core.errors import StorageError
from itkm_core.storage.atomic import replacing
from itkm_core.storage.object_store import REQUEST_SECONDS
from itkm_core.storage.paths import (
    exists,
    is_local,
    join,
    local_folder,
    parent,
    read_bytes,
    resolve,
    write_bytes,
)
from itkm_core.storage.place import Place


@pytest.mark.parametrize("path", [os.fsdecode(b"a/\xff"), "a\0b", "file:///a/\0", "\ud800"])
def test_a_name_that_is_none_is_one_line(path: str) -> None:
    with pytest.raises(StorageError, match=r"not UTF-8, or has a NUL in it") as caught:
        resolve(path)
    str(caught.value).encode()


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


def test_many_writers_of_one_file_never_share_a_temporary_name(tmp_path: Path) -> None:
    """Same process, and so the same process id, in many threads."""
    contents = [bytes([number]) * 100_000 for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda data: write_bytes(tmp_path / "file", data), contents))
    assert read_bytes(tmp_path / "file") in contents
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def fail_while_writing(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as partial:
        Path(partial).write_bytes(b"half")
        raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, error) -> None:
    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(error):
        fail_while_writing(tmp_path / "file", error)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert read_bytes(tmp_path / "file") == b"before"


@pytest.mark.parametrize(
    ("uri", "inner"),
    [
        ("s3://bucket/runs/a", "bucket/runs/a"),
        ("s3://bucket/runs/?region=eu-west-1", "bucket/runs"),
        ("s3://bucket?region=eu-west-1&endpoint_override=localhost:1&scheme=http", "bucket"),
        ("gs://anonymous@bucket/a%20b", "bucket/a b"),
        ("s3://bucket/runs@2/a?region=eu-west-1", "bucket/runs@2/a"),
    ],
)
def test_a_bucket_and_its_folder_are_found_beside_the_options(
    uri: str, inner: str, monkeypatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")  # or a region would be asked for
    filesystem, found = resolve(uri)
    assert found == inner
    assert resolve(join(uri, "x"))[0] is filesystem
    if "region" in uri:
        assert filesystem.region == "eu-west-1"


def test_a_name_is_the_same_in_a_folder_and_in_a_store() -> None:
    name = "scenario=a%2Fb?"
    uri = join("s3://bucket/x?region=eu-west-1&endpoint_override=localhost:1", name, "y")
    assert resolve(uri)[1] == f"bucket/x/{name}/y"
    assert parent(parent(uri)) == "s3://bucket/x?region=eu-west-1&endpoint_override=localhost:1"
    assert parent("/a/b?c/d") == "/a/b?c"


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAIOSFODNN:hidden@bucket/x",
        "s3://hidden@bucket/x",
        "s3://bucket/x?region=eu-west-1&secret_key=hidden",
        "s3://bucket/x?X-Amz-Signature=hidden",
        "gs://bucket/x?access_token=hidden",
        "abfs://container:hidden@account.dfs.core.windows.net/x",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(StorageError, match=r"leave it out\. Credentials come from") as caught:
        resolve(uri)
    assert "hidden" not in str(caught.value)
    assert "bucket/x" in str(caught.value) or "windows.net/x" in str(caught.value)


def test_a_connection_stays_patient_in_another_process() -> None:
    """Its retries are seen only in what it does; `tests/e2e/test_s3.py` has a store that says no."""
    filesystem, _ = resolve("s3://bucket/x?region=eu-west-1&endpoint_override=localhost:1")
    sent = pickle.dumps(filesystem)
    _, (options,) = fs.S3FileSystem.__reduce__(pickle.loads(sent))
    assert options["request_timeout"] == REQUEST_SECONDS
    assert type(pickle.loads(sent)) is type(filesystem) is not fs.S3FileSystem


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_path_is_not_the_working_folder(empty: str) -> None:
    for read in (resolve, Place.at):
        with pytest.raises(StorageError, match="a path is empty"):
            read(empty)


def test_a_place_reads_a_path_as_everything_does(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for text in ("~/x", "x", f"{tmp_path}/y/../x", f"file://{tmp_path}/x"):
        assert Place.at(text).resolve()[1] == resolve(text)[1] == str(tmp_path / "x")
    with pytest.raises(StorageError, match=r"no such user; .* \./~nobody-of-this-name"):
        Place.at("~nobody-of-this-name/x")


def test_a_folder_of_this_machine(tmp_path: Path) -> None:
    assert local_folder(f"file://{tmp_path}/x") == tmp_path / "x"
    with pytest.raises(StorageError, match="is not on this machine"):
        local_folder("s3://bucket/x")
