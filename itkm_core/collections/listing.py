"""From a collection's texts to the typed columns of a listing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from itkm_core.corpus.record import SCENARIO_NAME, SCENARIO_RULE
from itkm_core.corpus.schema import LISTING_SCHEMA, SPLITS, UNKNOWN
from itkm_core.errors import CorpusError

Texts = Sequence[str | None]
T = TypeVar("T")

DEFAULT_SCENARIO = "default"
_NUMBER = re.compile(r"-?[0-9]{1,19}")


def make_listing(
    uris: Sequence[str],
    fields: Mapping[str, Texts],
    *,
    source: str,
    scenario: str | None = None,
    group_names: Mapping[str, int] | None = None,
) -> pa.Table:
    """A listing (LISTING_SCHEMA, sorted by uri) of `uris` and what is known of each, as text.

    fields: those known of scenario, group, camera, split, person and clothes; None or "" is unknown.
    Cameras, people and clothes that are not all numbers are numbered from 1 in the order of
    their names. source: the name of the collection in errors. scenario: of all pictures, if
    `fields` has none. group_names: more words for groups 0 and 1.

    Raises:
        CorpusError: a scenario without a usable name, a group that is not 0 or 1, an unknown split.
    """
    words = {"0": 0, "1": 1, **(group_names or {})}

    def as_scenario(text: str) -> str:
        if not SCENARIO_NAME.fullmatch(text):
            raise ValueError(SCENARIO_RULE)
        return text

    def as_group(text: str) -> int:
        if text not in words:
            raise ValueError(
                f"{' or '.join(words)}; rename it, or say which word is which in a --config file, as "
                "group_names: {visible: 0, infrared: 1}"
            )
        return words[text]

    def as_split(text: str) -> str:
        if text not in SPLITS:
            raise ValueError(" or ".join(SPLITS))
        return text

    num = len(uris)
    read = _Reader(uris, fields, source)
    columns = {
        "uri": list(uris),
        "scenario": read("scenario", as_scenario, missing=scenario or DEFAULT_SCENARIO),
        "group": read("group", as_group, missing=0),
        "camera": _numbers(fields.get("camera", [None] * num), np.int32),
        "split": read("split", as_split, missing="train"),
        "person": _numbers(fields.get("person", [None] * num), np.int64, first=1),
        "clothes": _numbers(fields.get("clothes", [None] * num), np.int64),
    }
    return pa.table(columns, schema=LISTING_SCHEMA).sort_by("uri")


def check_scenarios(listings: Sequence[tuple[str, pa.Table]]) -> None:
    """Refuse scenarios that cannot name a folder or that come from more than one source.

    listings: (the name of the source in errors, its listing).

    Raises:
        CorpusError: a name of another form, or a scenario in two sources or in two spellings that differ only in case.
    """
    owner: dict[str, tuple[str, str]] = {}
    for source, listing in listings:
        for name in sorted(set(listing["scenario"].to_pylist())):
            if not SCENARIO_NAME.fullmatch(name):
                raise CorpusError(f"{source}: scenario {name!r}; expected {SCENARIO_RULE}")
            key = unicodedata.normalize("NFC", name).casefold().strip()
            if key in owner:
                other, place = owner[key]
                raise CorpusError(
                    f"scenario {name!r} of {source} and scenario {other!r} of {place} have the same "
                    "name; people of different scenarios must not be mixed up: rename one (a folder, "
                    "a manifest's column, or `scenario` of the source)"
                )
            owner[key] = (name, source)


def check_listing(listing: pa.Table, source: str) -> None:
    """Raises CorpusError unless a listing made elsewhere has LISTING_SCHEMA and allowed values."""
    if listing.schema != LISTING_SCHEMA:
        raise CorpusError(f"{source} has columns\n{listing.schema}\nexpected\n{LISTING_SCHEMA}")
    for name in LISTING_SCHEMA.names:
        if listing[name].null_count:
            raise CorpusError(
                f"{source}: column {name} has {listing[name].null_count} empty values"
            )
    for name, allowed in (("group", (0, 1)), ("split", SPLITS)):
        for value in listing[name].unique().to_pylist():
            if value not in allowed:
                raise CorpusError(
                    f"{source}: {name} {value!r}; expected {' or '.join(map(str, allowed))}"
                )


class _Reader:
    """Parses a text column value by value, naming the first row that cannot be parsed."""

    def __init__(self, uris: Sequence[str], fields: Mapping[str, Texts], source: str) -> None:
        self.uris, self.fields, self.source = uris, fields, source

    def __call__(self, field: str, parse: Callable[[str], T], missing: T) -> list[T]:
        texts = self.fields.get(field)
        if texts is None:
            return [missing] * len(self.uris)
        values: dict[str | None, T] = {None: missing, "": missing}
        for row, text in enumerate(texts):
            if text not in values:
                assert text is not None
                try:
                    values[text] = parse(text)
                except ValueError as error:
                    raise CorpusError(
                        f"{self.source}: {field} {text!r} of {self.uris[row]!r}; expected {error}"
                    ) from error
        return [values[text] for text in texts]


def _numbers(texts: Texts, kind: type[np.integer], first: int = 0) -> np.ndarray:
    """Ids of `texts`: the numbers themselves if all are, else numbered from 1 by name; -1 unknown.

    If any is below `first`, all move up (people numbered from 0 are not distractors).
    """
    names = sorted({text for text in texts if text})
    values: dict[str | None, int] = {None: UNKNOWN, "": UNKNOWN}
    limit = int(np.iinfo(kind).max)
    if all(_NUMBER.fullmatch(name) and abs(int(name)) < limit for name in names):
        numbers = {name: int(name) for name in names}
    else:
        numbers = {name: number for number, name in enumerate(names, start=1)}
    known = [number for number in numbers.values() if number >= 0]
    shift = max(0, first - min(known)) if known else 0
    values.update(
        {name: number + shift if number >= 0 else UNKNOWN for name, number in numbers.items()}
    )
    return np.array([values[text] for text in texts], dtype=kind)
