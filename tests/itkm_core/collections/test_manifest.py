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


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.csv",
        'uri,scenario,person,camera\nNA,NA,null,nan\nnull,"",#N/A,\n"a\nb.jpg",N/A,NULL,""\n',
    )
    uris, fields = read_manifest(path)
    assert uris == ["NA", "null", "a\nb.jpg"]
    assert fields["scenario"] == ["NA", None, "N/A"]
    assert fields["person"] == ["null", "#N/A", "NULL"]
    assert fields["camera"] == ["nan", None, None]


@pytest.mark.parametrize("header", ["camera,camera", "camera,Camera", "CAMERA, camera "])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "m.csv", f"uri,{header}\na.jpg,1,2\n")
    with pytest.raises(CorpusError, match=r"the column 'camera' 2 times \('(camera|CAMERA)'"):
        read_manifest(path)
    table = pa.Table.from_arrays(
        [pa.array(["a.jpg"]), pa.array([1]), pa.array([2])], names=["uri", *header.split(",")]
    )
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(CorpusError, match="2 times"):
        read_manifest(str(tmp_path / "m.parquet"))


def test_a_column_that_nobody_reads_may_be_there_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", "uri,x,X,x,camera\na.jpg,1,2,3,4\n")
    assert read_manifest(path) == (["a.jpg"], {"camera": ["4"]})
    with pytest.raises(CorpusError, match="the column 'x' 3 times"):
        read_manifest(path, group_column="x")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1]]), "column camera holds list"),
        (pa.array([b"1"]), "column camera holds binary"),
        (pa.array([2.0**53 + 2]), r"holds 9007199254740994 as double, which skips whole numbers"),
        (pa.array([2.0**24 + 2], pa.float32()), "holds 16777218 as float"),
    ],
)
def test_columns_of_other_kinds_are_refused(tmp_path: Path, column: pa.Array, message: str) -> None:
    pq.write_table(pa.table({"uri": ["a.jpg"], "camera": column}), tmp_path / "m.parquet")
    with pytest.raises(CorpusError, match=message):
        read_manifest(str(tmp_path / "m.parquet"))


def test_parquet_keeps_large_integers_and_categories(tmp_path: Path) -> None:
    table = pa.table(
        {
            "uri": ["a", "b", "c"],
            "person": pa.array([2**63, 2**53 + 1, None], pa.uint64()),
            "camera": pa.array(["x", "y", None]).dictionary_encode(),
            "clothes": pa.array([None, None, None]),
        }
    )
    pq.write_table(table, tmp_path / "m.parquet")
    fields = read_manifest(str(tmp_path / "m.parquet"))[1]
    assert fields["person"] == [str(2**63), str(2**53 + 1), None]
    assert fields["camera"] == ["x", "y", None]
    assert fields["clothes"] == [None, None, None]


def test_text_in_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    table = pa.table({"uri": ["a.jpg"], "camera": ["quux_name"]})
    pq.write_table(table, tmp_path / "m.parquet", compression="none", use_dictionary=False)
    data = (tmp_path / "m.parquet").read_bytes()
    (tmp_path / "m.parquet").write_bytes(data.replace(b"quux_name", b"quux\xff\xfeame"))
    with pytest.raises(CorpusError, match=r"cannot read the manifest .*UTF"):
        read_manifest(str(tmp_path / "m.parquet"))


@pytest.mark.parametrize(
    "data", [b"uri\n\xe9.jpg\n", b"\xff\xfeu\0r\0i\0\n\0", b"uri,\xe9\na.jpg,1\n"]
)
def test_other_encodings_are_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.csv").write_bytes(data)
    with pytest.raises(CorpusError, match=r"m\.csv"):
        read_manifest(str(tmp_path / "m.csv"))


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
    address = "s3://b/c/m.csv?endpoint_override=http://minio:9000/x"
    options = "?endpoint_override=http://minio:9000/x"
    assert split_manifest(address) == (f"s3://b/c{options}", address)
    assert split_manifest(f"s3://b/c{options}m.csv") is None
