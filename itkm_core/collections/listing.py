"""From a collection's texts to the typed columns of a listing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa

from itkm_core.collections.files import SetAside
from itkm_core.collections.numbering import MAX_ID, TooLarge, as_number, number_names
from itkm_core.corpus.record import SCENARIO_NAME, SCENARIO_RULE
from itkm_core.corpus.schema import DRAWS_SCHEMA, LISTING_SCHEMA, SPLITS
from itkm_core.errors import CorpusError

Texts = Sequence[str | None]
T = TypeVar("T")

DEFAULT_SCENARIO = "default"

LISTED_DRAWS_SCHEMA = pa.schema([("uri", pa.string()), *DRAWS_SCHEMA.remove(0)])
"""DRAWS_SCHEMA before there are sample ids."""


@dataclass(frozen=True)
class Listing:
    """What a collection reader found.

    rows: LISTING_SCHEMA, sorted by uri. camera_names: what a camera's number stands for, where the source has names.
    aside: pictures that cannot be used, as is known without opening them. left_out: of what is no picture, by its
    kind, how many there are and one of them. draws: LISTED_DRAWS_SCHEMA, where a collection comes with the draws of
    its protocol.
    """

    rows: pa.Table
    camera_names: Mapping[int, str] = field(default_factory=dict)
    aside: Sequence[SetAside] = ()
    left_out: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    draws: pa.Table | None = None


def make_listing(
    uris: Sequence[str],
    fields: Mapping[str, Texts],
    *,
    source: str,
    scenario: str | None = None,
    group_names: Mapping[str, int] | None = None,
) -> Listing:
    """A listing of `uris` and what is known of each, as text.

    fields: those known of scenario, group, camera, tracklet, frame, split, person and clothes; None or blanks are
    unknown. Blanks around a text do not count, and 1.0 is 1. Cameras, tracklets, frames, people and clothes that are
    not all numbers are numbered from 1 in the natural order of their names. source: the name of the collection in
    errors. scenario: of all pictures, if `fields` has none. group_names: more words for groups 0 and 1.

    Raises:
        CorpusError: a scenario without a usable name, a group that is not 0 or 1, an unknown split, a number that
            int64 cannot hold.
    """
    words = {"0": 0, "1": 1, **(group_names or {})}

    def as_scenario(text: str) -> str:
        if not SCENARIO_NAME.fullmatch(text):
            raise ValueError(SCENARIO_RULE)
        return text

    def as_group(text: str) -> int:
        word = text if text in words else str(as_number(text))
        if word not in words:
            raise ValueError(
                f"{' or '.join(words)}; rename it, or say which word is which in a --config file, as "
                "group_names: {visible: 0, infrared: 1}"
            )
        return words[word]

    def as_split(text: str) -> str:
        if text not in SPLITS:
            raise ValueError(" or ".join(SPLITS))
        return text

    read = _Reader(uris, fields, source)
    cameras, camera_names = read.numbers("camera", np.int32)
    columns = {
        "uri": list(uris),
        "scenario": read("scenario", as_scenario, missing=scenario or DEFAULT_SCENARIO),
        "group": read("group", as_group, missing=0),
        "camera": cameras,
        "tracklet": read.numbers("tracklet", np.int64)[0],
        "frame": read.numbers("frame", np.int64)[0],
        "split": read("split", as_split, missing="train"),
        "person": read.numbers("person", np.int64, first=1)[0],
        "clothes": read.numbers("clothes", np.int64)[0],
    }
    return Listing(pa.table(columns, schema=LISTING_SCHEMA).sort_by("uri"), camera_names)


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
        values: dict[str | None, T] = {None: missing}
        for row, text in enumerate(texts):
            if text not in values:
                assert text is not None
                plain = text.strip()
                try:
                    values[text] = parse(plain) if plain else missing
                except ValueError as error:
                    raise CorpusError(
                        f"{self.source}: {field} {plain!r} of {self.uris[row]!r}; expected {error}"
                    ) from error
        return [values[text] for text in texts]

    def numbers(
        self, field: str, kind: type[np.integer], first: int = 0
    ) -> tuple[np.ndarray, dict[int, str]]:
        """See `number_names`."""
        texts = self.fields.get(field, [None] * len(self.uris))
        try:
            return number_names(texts, kind, first)
        except TooLarge as error:
            row = next((row for row, text in enumerate(texts) if text == error.text), 0)
            raise CorpusError(
                f"{self.source}: {field} {error.text.strip()[:40]!r} of {self.uris[row]!r}; expected numbers up to "
                f"{MAX_ID}, or names: put a letter before each, and they are numbered"
            ) from error
