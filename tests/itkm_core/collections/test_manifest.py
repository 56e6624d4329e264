from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.collections.manifest import read_manifest, split_manifest
from itkm_core.errors import CorpusError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_csv_is_read_as_text(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.csv",
        'URI,person,camera,weather\na.jpg,0002,1,sun\n"b, c.jpg",ann,,rain\n123,3,2,\n',
    )
    uris, fields = read_manifest(path)
    assert uris == ["a.jpg", "b, c.jpg", "123"]
    assert fields == {"person": ["0002", "ann", "3"], "camera": ["1", None, "2"]}


def test_parquet_numbers_and_gaps(tmp_path: Path) -> None:
    table = pa.table(
        {
            "path": ["a.jpg", "b.jpg", "c.jpg"],
            "person": [1.0, None, float("nan")],
            "clothes": pa.array([3, None, 4], pa.int32()),
            "group": [0, 1, 1],
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    uris, fields = read_manifest(str(tmp_path / "m.parquet"))
    assert uris == ["a.jpg", "b.jpg", "c.jpg"]
    assert fields["person"] == ["1", None, None]
    assert fields["clothes"] == ["3", None, "4"]
    assert fields["group"] == ["0", "1", "1"]


def test_a_byte_order_mark_and_gzip_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress("\ufeffuri,camera\na.jpg,1\n".encode()))
    assert read_manifest(str(tmp_path / "m.csv.gz")) == (["a.jpg"], {"camera": ["1"]})


def test_another_column_may_hold_the_group(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", "uri,modality,group\na.jpg,1,0\n")
    assert read_manifest(path, group_column="modality")[1]["group"] == ["1"]
    with pytest.raises(CorpusError, match="has no column 'spectrum'; it has uri, modality, group"):
        read_manifest(path, group_column="spectrum")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,camera\na.jpg,1\n", "no column 'uri'; it has file, camera. Expected uri"),
        ("uri;camera\na.jpg;1\n", "no column 'uri'; it has uri;camera"),
        ("uri,camera\n", "lists no pictures"),
        ("", "cannot read the manifest"),
        ("uri,camera\na.jpg,1\n,2\n", "row 2 has an empty uri"),
        ("uri,camera\na.jpg,1,9\n", "cannot read the manifest"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_manifest(write(tmp_path / "m.csv", text))


def test_files_of_other_kinds_and_absent_ones(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no manifest"):
        read_manifest(str(tmp_path / "none.csv"))
    with pytest.raises(CorpusError, match=r"is not one of \.csv"):
        read_manifest(write(tmp_path / "m.xlsx", "x"))
    with pytest.raises(CorpusError, match="cannot read the manifest"):
        read_manifest(write(tmp_path / "m.parquet", "not parquet"))


def test_a_source_may_be_the_manifest_itself() -> None:
    assert split_manifest("a/b/m.csv") == ("a/b", "a/b/m.csv")
    assert split_manifest("m.parquet") == (".", "m.parquet")
    assert split_manifest("/m.csv") == ("/", "/m.csv")
    assert split_manifest("s3://b/m.CSV") == ("s3://b", "s3://b/m.CSV")
    assert split_manifest("a/b") is None
