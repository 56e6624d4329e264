"""Output folders: only what is new, empty or the command's own is written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.errors import StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.claim import MARK, claim


@pytest.mark.parametrize("made", [True, False])
def test_a_new_or_empty_folder_is_taken_and_taken_again(tmp_path: Path, made: bool) -> None:
    place = Place.at(tmp_path / "out")
    if made:
        (tmp_path / "out").mkdir()
    assert claim(place, "label") == place
    (tmp_path / "out" / "more").write_text("ours by now")
    assert claim(place, "label") == place


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"holds 'notes\.txt', which `itkm label` did not write"):
        claim(Place.at(tmp_path), "label")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    claim(Place.at(tmp_path), "label", unmarked=lambda place: True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("mark", ["{}", "[]", "not JSON", '{"command": 3}'])
def test_a_file_that_only_has_the_marks_name_is_none(tmp_path: Path, mark: str) -> None:
    (tmp_path / MARK).write_text(mark)
    with pytest.raises(StorageError, match="did not write"):
        claim(Place.at(tmp_path), "label")
    assert (tmp_path / MARK).read_text() == mark


def test_another_commands_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    claim(Place.at(tmp_path / "out"), "ablate")
    with pytest.raises(StorageError, match="was written by `itkm ablate`"):
        claim(Place.at(tmp_path / "out"), "label")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file; expected a folder"):
        claim(Place.at(tmp_path / "file"), "label")
