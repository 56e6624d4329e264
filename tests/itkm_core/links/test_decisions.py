"""Reading decisions: what a file may hold, and one line for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.errors import LinkError
from itkm_core.links.decisions import Decisions, decisions_file, read_decisions

PLACES = {"12": 0, "uvi:a/b.jpg": 1, "13": 2}


def read(path: Path) -> Decisions:
    return read_decisions(decisions_file(str(path)), str(path), PLACES.get)


def test_decisions_name_images_by_id_or_uri(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(
        "\ufeffVerdict,a,note,B\r\nsame,12,x, uvi:a/b.jpg\r\nDIFFERENT,13,,12\r\n".encode()
    )
    found = read(path)
    assert found.same.tolist() == [[0, 1]]
    assert found.different.tolist() == [[2, 0]]
    assert found.where(0, same=True) == f"{path}, line 2"
    assert found.line_of(1, 0) == f"{path}, line 2"
    assert found.line_of(1, 2) == ""
    path.write_text("a,b,verdict\n")
    assert read(path).same.shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n12,13\n",
            "has no column 'verdict'; expected a CSV with the columns a, b and verdict",
        ),
        ("a,b,A,verdict\n12,13,1,same\n", "has more than one column 'a'"),
        ("a,b,verdict\n12,13,same\n12,13,perhaps\n", "line 3: verdict 'perhaps'; expected same or"),
        ("a,b,verdict\n12,99,same\n", "line 2: there is no image '99'; expected a sample id, or"),
        ("a,b,verdict\n12,,same\n", "line 2: there is no image ''"),
        ("a,b,verdict\n12,13\n", "cannot read"),
        ("", "cannot read"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(text)
    with pytest.raises(LinkError) as caught:
        read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="there is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(LinkError, match="cannot read"):
        read(tmp_path)
