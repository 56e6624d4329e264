"""Cameras, people and clothes as numbers: their own where all are numbers, else numbered by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from itkm_core.corpus.schema import UNKNOWN

MAX_ID = int(np.iinfo(np.int64).max)

# Programs that know a column's gaps as NaN write its integers as 3.0.
_NUMBER = re.compile(r"(-?)0*([0-9]+)(?:\.0*)?")


class TooLarge(ValueError):
    """A number that int64 cannot hold; `text` is how it was written."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def as_number(text: str) -> int | None:
    """The integer that `text` is, but for blanks around it and zeros after a point; None for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    sign, digits = found.groups()
    return int(
        sign + digits[:30]
    )  # Python refuses texts of thousands of digits, and these are too large anyway


def natural_order(name: str) -> tuple[Any, ...]:
    """A sort key by which cam2 comes before cam10."""
    pieces: list[Any] = re.split(r"([0-9]+)", name)
    digits = [piece.lstrip("0") for piece in pieces[1::2]]
    pieces[1::2] = [(len(each), each) for each in digits]
    return (tuple(pieces), name)


def number_names(
    texts: Sequence[str | None], kind: type[np.integer], first: int = 0
) -> tuple[np.ndarray, dict[int, str]]:
    """(the number of each text, as `kind` [N]; the names by number, empty if the texts are numbers).

    The numbers are the texts' own if all are integers that fit `kind`; if any is below `first`, all move up (people
    numbered from 0 are not distractors). Else they count from 1 in natural order. An empty text and a
    negative number are unknown, -1, among names too.

    Raises:
        TooLarge: an integer, perhaps after moving up, that int64 cannot hold.
    """
    plain = {text: (text or "").strip() for text in dict.fromkeys(texts)}
    own = {name: as_number(name) for name in plain.values() if name}
    for text, name in plain.items():
        if name and abs(own[name] or 0) > MAX_ID:
            raise TooLarge(str(text))
    all_numbers = all(number is not None for number in own.values())
    known = [number for number in own.values() if number is not None and number >= 0]
    if all_numbers and (not known or max(known) <= np.iinfo(kind).max):
        shift = max(0, first - min(known)) if known else 0
        if known and max(known) + shift > MAX_ID:
            raise TooLarge(next(str(t) for t, name in plain.items() if own.get(name) == max(known)))
        numbers = {
            name: UNKNOWN if number is None or number < 0 else number + shift
            for name, number in own.items()
        }
        names: dict[int, str] = {}
    else:
        called = {
            name: str(number) if number is not None and (all_numbers or "." in name) else name
            for name, number in own.items()
            if number is None or number >= 0
        }
        ordered = sorted(set(called.values()), key=natural_order)
        names = dict(enumerate(ordered, start=1))
        place = {name: number for number, name in names.items()}
        numbers = {name: place[called[name]] if name in called else UNKNOWN for name in own}
    numbers[""] = UNKNOWN
    values = {text: numbers[name] for text, name in plain.items()}
    return np.array([values[text] for text in texts], dtype=kind), names
