"""The people in a tracker's boxes, as a file beside it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.collections.tracks.boxes import Boxes
from itkm_core.collections.tracks.persons import read_persons
from itkm_core.errors import CorpusError


def boxes_of(pairs: list[tuple[int, int]]) -> Boxes:
    frame, ids = np.array(sorted(pairs), np.int64).T
    num = len(frame)
    return Boxes(np.arange(1, num + 1), frame, ids, np.ones((num, 4)), np.ones(num))


BOXES = boxes_of([(1, 7), (1, 9), (2, 7), (5, 2**40)])


def read(tmp_path: Path, text: str, boxes: Boxes = BOXES) -> list[int]:
    path = tmp_path / "persons.csv"
    path.write_bytes(text.encode())
    return read_persons(str(path), boxes).tolist()


def test_a_row_says_who_is_in_a_box_and_the_others_are_unknown(tmp_path: Path) -> None:
    text = f"frame,id,person\n5,{2**40},4\n1,9,0\n2,7,31\n"
    assert read(tmp_path, text) == [-1, 0, 31, 4]
    assert read(tmp_path, "frame,id,person\n") == [-1] * 4


def test_columns_in_any_order_with_others_a_bom_crlf_and_empty_lines(tmp_path: Path) -> None:
    text = '\ufeff"Person",name,ID,frame\r\n3,ann,7,1\r\n\r\n-1,bo,9,1\r\n'
    assert read(tmp_path, text) == [3, -1, -1, -1]


@given(data=st.data())
def test_rows_find_their_boxes_in_any_order(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pairs = st.tuples(st.integers(1, 6), st.integers(0, 6))
    there = data.draw(st.lists(pairs, min_size=1, max_size=12, unique=True))
    said = data.draw(st.permutations(there))[: data.draw(st.integers(0, len(there)))]
    person = {pair: data.draw(st.integers(-1, 9)) for pair in said}
    text = "".join(f"{frame},{number},{person[frame, number]}\n" for frame, number in said)
    found = read(tmp_path_factory.mktemp("any"), "frame,id,person\n" + text, boxes_of(there))
    assert found == [person.get(pair, -1) for pair in sorted(there)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no frame, id, person"),
        ("frame,id\n1,7\n", r"\(line 1\) has no person, but frame, id"),
        ("frame,id,person\n1,7,3\n1,7\n", "line 3 is '1,7'; expected whole numbers"),
        ("frame,id,person\n1,7,ann\n", "line 2 is '1,7,ann'; expected whole numbers"),
        ("frame,id,person\n\n1,7,-2\n", "line 3 is '1,7,-2'; expected a person of at least -1"),
        ("frame,id,person\n1,8,3\n", "line 2: the tracker has no box of id 8 in frame 1"),
        ("frame,id,person\n1,10,3\n", "line 2: the tracker has no box of id 10 in frame 1"),
        ("frame,id,person\n3,7,3\n", "line 2: the tracker has no box of id 7 in frame 3"),
        ("frame,id,person\n-1,7,3\n", "line 2: the tracker has no box of id 7 in frame -1"),
        ("frame,id,person\n99999999,7,3\n", "no box of id 7 in frame 99999999"),
        ("frame,id,person\n1,7,3\n1,9,3\n1,7,3\n", "line 4: is a second row for the box of id 7"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)
    assert "persons.csv" in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no file of persons"):
        read_persons(str(tmp_path / "none.csv"), BOXES)
    (tmp_path / "latin.csv").write_bytes(b"frame,id,person\xe9")
    with pytest.raises(CorpusError, match="not UTF-8"):
        read_persons(str(tmp_path / "latin.csv"), BOXES)
