"""Whose an output folder is: a command writes only where nothing is, or where it has written itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from itkm_core.errors import StorageError
from itkm_core.storage.place import Place

MARK = "itkm.json"
"""The file that says which command a folder belongs to. A run has config.yaml, a corpus corpus.json."""


def claim(
    place: Place, command: str, *, unmarked: Callable[[Place], bool] = lambda place: False
) -> Place:
    """Take a folder as the output of `itkm <command>`, and mark it as such.

    The mark is written before any work is done, so a place that cannot be written shows at once.

    unmarked: whether a folder without a mark is of this command all the same.

    Raises:
        StorageError: it holds something else, is a file, or cannot be written.
    """
    mark = place / MARK
    found = _command_of(mark) if mark.exists() else None
    if found is None and (names := place.names()) and not unmarked(place):
        raise StorageError(
            f"--out {place} holds {names[0]!r}, which `itkm {command}` did not write; give a new or an empty folder, "
            "or one that it has written"
        )
    if found not in (None, command):
        raise StorageError(f"--out {place} was written by `itkm {found}`; give another folder")
    mark.write_json({"command": command, "itkm": version("itkm")})
    return place


def _command_of(mark: Place) -> str | None:
    """What a mark says; None if it is none of ours."""
    try:
        said = mark.read_json()
    except StorageError:
        return None
    command = said.get("command") if isinstance(said, dict) else None
    return command if isinstance(command, str) else None
