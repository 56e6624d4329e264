"""Who is in a tracker's boxes, where somebody knows: for evaluation only."""

from __future__ import annotations

import numpy as np

from itkm_core.collections.tracks.boxes import Boxes
from itkm_core.corpus.schema import UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import read_bytes

COLUMNS = ("frame", "id", "person")


def read_persons(path: str, boxes: Boxes) -> np.ndarray:
    """int64 [N]: the person in each box, -1 where the file does not say.

    The file is a CSV with the columns frame, id and person, all whole numbers: a row a box and not an id, because an id
    that a tracker mixed up holds two people. Persons as in `IDENTITY_SCHEMA`.

    Raises:
        CorpusError: with the line: no such columns, no whole numbers, a box that is not the tracker's or comes twice.
    """
    try:
        texts = read_bytes(path).decode("utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise CorpusError(f"there is no file of persons {path}") from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 ({error.reason}); expected CSV") from error
    except OSError as error:
        raise CorpusError(f"cannot read the persons in {path}: {error}") from error
    header = [name.strip().strip('"').casefold() for name in texts[0].split(",")]
    if missing := [name for name in COLUMNS if name not in header]:
        raise CorpusError(
            f"{path}: the header (line 1) has no {', '.join(missing)}, but {', '.join(header)[:200]}; expected "
            f"the columns {', '.join(COLUMNS)}"
        )
    places = [header.index(name) for name in COLUMNS]
    lines = [line for line, text in enumerate(texts[1:], start=2) if text.strip()]
    rows = np.array([_numbers(texts[line - 1], places, f"{path}: line {line}") for line in lines])
    frame, number, person = rows.reshape(-1, 3).T.astype(np.int64)
    ids, rank = np.unique(boxes.id, return_inverse=True)
    at = np.minimum(np.searchsorted(ids, number), len(ids) - 1)
    # One number for a frame and an id; the boxes are sorted by both.
    keys = boxes.frame * len(ids) + rank
    wanted = np.clip(frame, 0, boxes.frame[-1] + 1) * len(ids) + at
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    _, first = np.unique(found, return_index=True)
    again = np.ones(len(found), bool)
    again[first] = False
    for wrong, said in (
        ((keys[found] != wanted) | (ids[at] != number), "the tracker has no box"),
        (again, "is a second row for the box"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise CorpusError(
                f"{path}: line {lines[row]}: {said} of id {number[row]} in frame {frame[row]}; expected a row for "
                "each box of the tracker's file, at most"
            )
    persons = np.full(len(boxes), UNKNOWN, np.int64)
    persons[found] = person
    return persons


def _numbers(text: str, places: list[int], where: str) -> list[int]:
    words = text.split(",")
    try:
        frame, number, person = (int(words[place]) for place in places)
    except (IndexError, ValueError) as error:
        raise CorpusError(
            f"{where} is {text.strip()[:80]!r}; expected whole numbers for {', '.join(COLUMNS)}"
        ) from error
    if person < UNKNOWN or max(abs(frame), abs(number), person) >= 2**53:
        raise CorpusError(
            f"{where} is {text.strip()[:80]!r}; expected a person of at least {UNKNOWN} (unknown)"
        )
    return [frame, number, person]
