from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.collections.tracks.boxes import read_boxes
from itkm_core.errors import CorpusError

PLAIN = (
    "1,3,10.5,20,30,40,0.9,-1,-1,-1\n1,4,50,20,30,40,0.8,-1,-1,-1\n2,3,11,20,30,40,0.7,-1,-1,-1\n"
)


def read(folder: Path, text: str | bytes, name: str = "tracks.txt"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_boxes(str(folder / name))


def same(one, two) -> bool:
    return all(
        np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(two).values(), strict=True)
    )


def test_ten_columns_of_the_challenge(tmp_path: Path) -> None:
    boxes = read(tmp_path, PLAIN)
    assert boxes.frame.tolist() == [1, 1, 2]
    assert boxes.id.tolist() == [3, 4, 3]
    assert boxes.box[0].tolist() == [10.5, 20, 30, 40]
    assert boxes.conf.tolist() == [0.9, 0.8, 0.7]
    assert boxes.line.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", " "),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace(",-1,-1,-1", ""),  # seven columns
        lambda text: text.replace(",-1,-1,-1", ",1,0"),  # nine, as BoxMOT: a class and a detection
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("1,3,", "1.0,3.000000e+00,", 1),
    ],
)
def test_ways_of_writing_the_same(tmp_path: Path, change) -> None:
    assert same(read(tmp_path, change(PLAIN)), read(tmp_path, PLAIN))


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN.replace("\n2,", "\n\n2,")).line.tolist() == [1, 2, 4]


def test_six_columns_have_no_confidence(tmp_path: Path) -> None:
    assert read(tmp_path, "1,3,10,20,30,40\n").conf.tolist() == [-1]
    assert read(tmp_path, "1,3,10,20,30,40,nan\n2,3,10,20,30,40,-1\n").conf.tolist() == [-1, -1]


def test_unsorted_rows_are_sorted_and_keep_their_lines(tmp_path: Path) -> None:
    boxes = read(tmp_path, "".join(reversed(PLAIN.splitlines(keepends=True))))
    assert boxes.frame.tolist() == [1, 1, 2]
    assert boxes.line.tolist() == [3, 2, 1]
    assert boxes.conf.tolist() == [0.9, 0.8, 0.7]


def test_a_header_gives_the_columns_in_any_order(tmp_path: Path) -> None:
    text = 'conf,"Frame",id,width,height,left,top,note\n0.9,1,3,30,40,10,20,7\n'
    boxes = read(tmp_path, text, "tracks.csv")
    assert (boxes.line.tolist(), boxes.frame.tolist(), boxes.id.tolist()) == ([2], [1], [3])
    assert boxes.box.tolist() == [[10, 20, 30, 40]]
    assert boxes.conf.tolist() == [0.9]


def test_parquet(tmp_path: Path) -> None:
    plain = read(tmp_path, PLAIN)
    columns = dict(zip(("left", "top", "width", "height"), plain.box.T, strict=True))
    table = pa.table(
        {"id": plain.id, "frame": pa.array(plain.frame, pa.int32()), "conf": plain.conf, **columns}
    )
    pq.write_table(table, tmp_path / "tracks.parquet")
    assert same(read_boxes(str(tmp_path / "tracks.parquet")), plain)
    pq.write_table(table.drop_columns(["top"]), tmp_path / "tracks.parquet")
    with pytest.raises(CorpusError, match="has no column top, but id, frame, conf"):
        read_boxes(str(tmp_path / "tracks.parquet"))
    pq.write_table(
        table.set_column(0, "id", pa.array(["a", "b", "c"])), tmp_path / "tracks.parquet"
    )
    with pytest.raises(CorpusError, match="column id holds string; expected numbers"):
        read_boxes(str(tmp_path / "tracks.parquet"))
    pq.write_table(table.set_column(0, "id", pa.array([1, None, 2])), tmp_path / "tracks.parquet")
    with pytest.raises(
        CorpusError, match=r"tracks\.parquet: row 2: id nan; expected whole numbers"
    ):
        read_boxes(str(tmp_path / "tracks.parquet"))


def test_boxes_are_not_judged_here(tmp_path: Path) -> None:
    boxes = read(tmp_path, "1,1,nan,0,5,5\n1,2,-50,-50,0,-3\n1,3,inf,0,1,1\n")
    assert np.isnan(boxes.box[0, 0])
    assert boxes.box[1].tolist() == [-50, -50, 0, -3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no boxes"),
        ("frame,id,left,top,width,height\n", "has no boxes"),
        ("f,id,x,y,w,h\n1,1,1,1,1,1\n", "the header (line 1) has no frame, left, top, width, height, but f, id, x"),
        ("1,1,1,1,1\n", "line 1 has 5 columns; expected 6 or more: frame, id, left, top"),
        ("1,1,1,1,1,1\n2,1,1,1,1\n", "line 2 has 5 columns; expected 6"),
        ("1,1,1,1,1,1,1\n2,1,1,1,1,1\n", "line 2 has 6 columns; expected 7"),
        ("1,1,1,1,1,1\n\n2,1,a,1,1,1\n", "line 3: left 'a' is not a number"),
        ("1;1;1,5;1;1;1\n", "line 1: left '1,5' is not a number"),
        ("1;1;1.5;1;1;1\n2;1;1,5;1;1;1\n", "line 2: left '1,5' is not a number; expected numbers with a point"),
        ("1,1,1,,1,1\n", "line 1: top '' is not a number"),
        ("0,1,1,1,1,1\n", "line 1: frame 0; expected whole numbers from 1 (if the first frame has the number 0"),
        ("1.5,1,1,1,1,1\n", "line 1: frame 1.5; expected whole"),
        ("nan,1,1,1,1,1\n", "line 1: frame nan; expected whole"),
        ("1,-1,1,1,1,1\n", "line 1: id -1; expected whole numbers from 0 (these may be detections"),
        ("1,1e300,1,1,1,1\n", "line 1: id 1e+300; expected"),
        ("1,7,1,1,1,1\n2,7,1,1,1,1\n1,7,2,2,2,2\n", "line 3: id 7 is in frame 1 a second time, after line 1"),
        (b"1,1,1,1,1,1\xff\n", "is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_tracks_file_says_where(tmp_path: Path, text, message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(tmp_path / "tracks.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"there is no tracker's file .*gone\.txt"):
        read_boxes(str(tmp_path / "gone.txt"))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match="is not Parquet, or damaged"):
        read_boxes(str(tmp_path / "damaged.parquet"))
