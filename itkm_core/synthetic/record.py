"""The record of what was drawn into a folder, by which a second call knows it again. [ours]"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from itkm_core.errors import CorpusError

RECORD_FILE = "synth.json"
UNFINISHED_FILE = "synth.unfinished.json"


def is_finished(root: Path, record: dict[str, Any], last: str) -> bool:
    """Whether the folder holds what this record says, finished.

    Args:
        root: the folder; it need not exist.
        record: what RECORD_FILE would hold: `version` and `parameters`.
        last: the file that is written last but for the record.

    Raises:
        CorpusError: it holds something else.
    """
    if not root.exists():
        return False
    if not root.is_dir():
        raise CorpusError(f"{root} is a file; expected a folder for synthetic people")
    for name in (RECORD_FILE, UNFINISHED_FILE):
        if not (root / name).is_file():
            continue
        found = _read_record(root / name)
        if found != record:
            raise CorpusError(
                f"{root} holds synthetic people with other parameters ({_difference(found, record)}):"
                " choose another folder, use the same parameters, or delete this one"
            )
        return name == RECORD_FILE and (root / last).is_file()
    if any(not entry.name.endswith(".partial") for entry in root.iterdir()):
        raise CorpusError(
            f"{root} is not empty and holds no synthetic people ({RECORD_FILE} is not there):"
            " choose an empty or a new folder"
        )
    return False


def _read_record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorpusError(
            f"{path} is not JSON ({error}): delete its folder and draw again"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("parameters"), dict):
        raise CorpusError(
            f"{path} is not a record of synthetic people: delete its folder or choose another"
        )
    return found


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    there = {"version": found.get("version"), **found["parameters"]}
    here = {"version": wanted["version"], **wanted["parameters"]}
    names = [n for n in dict.fromkeys([*here, *there]) if there.get(n) != here.get(n)]
    return (
        ", ".join(f"{n}: there {there.get(n)}, wanted {here.get(n)}" for n in names) or "its record"
    )
