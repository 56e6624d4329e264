"""Names of what an export writes."""

from __future__ import annotations

import pytest

from itkm_core.storage.place import Place
from pipelines.export.files import RECORD, file_names, remove_earlier


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/c1.txt", "/b/c2.csv"], ["c1.txt", "c2.txt"]),
        (["/day1/c1/gt.txt", "/day1/c2/gt.txt"], ["c1-gt.txt", "c2-gt.txt"]),
        (["/d/c1/gt.txt", "/d/c2/gt.txt", "/d/z.txt"], ["c1-gt.txt", "c2-gt.txt", "d-z.txt"]),
        (["/a/C1.txt", "/b/c1.txt"], ["a-C1.txt", "b-c1.txt"]),
        (["/a/c.txt", "/a/c.csv"], ["1.txt", "2.txt"]),
        (["s3://bucket/c1.txt?region=x"], ["c1.txt"]),
        (["/c1.txt", "/a/c1.txt", "/b/a/c1.txt"], ["c1.txt", "a-c1.txt", "b-a-c1.txt"]),
        (["/a/cam.1.parquet"], ["cam.1.txt"]),
        ([], []),
    ],
)
def test_files_keep_their_names_where_these_differ(paths: list[str], names: list[str]) -> None:
    found = file_names(paths)
    assert list(found) == paths
    assert list(found.values()) == names
    assert not any("/" in name for name in found.values())


@pytest.mark.parametrize("record", ['{"files": 3}', "[]", '{"files": [7, {"file": ["x"]}]}'])
def test_only_what_the_record_names_in_its_own_folder_is_removed(
    tmp_path: object, record: str
) -> None:
    place = Place.at(str(tmp_path)) / "out"
    for name in ("c1.txt", "mine.txt"):
        (place / name).write_bytes(b"x")
    outside = Place.at(str(tmp_path)) / "other.txt"
    outside.write_bytes(b"x")
    (place / RECORD).write_bytes(record.encode())
    remove_earlier(place)
    assert place.names() == ["c1.txt", RECORD, "mine.txt"]
    (place / RECORD).write_json({"files": [{"file": "c1.txt"}, {"file": "../other.txt"}]})
    remove_earlier(place)
    assert place.names() == [RECORD, "mine.txt"]
    assert outside.exists()
