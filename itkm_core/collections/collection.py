"""What is known of a public collection beside its pictures: whose it is, how it lies on disk, how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.collections.listing import Listing
from itkm_core.corpus.schema import DISTRACTOR


class Count(NamedTuple):
    """How many pictures, and people (person > 0), a part of a collection has as published; None: not published.

    label: the part in words. split, group: None for all. without_junk: pictures of person -1 do not count.
    variant: the one it holds for; empty for all.
    """

    label: str
    split: str | None = None
    group: int | None = None
    images: int | None = None
    persons: int | None = None
    without_junk: bool = False
    variant: str = ""


class Found(NamedTuple):
    """A `Count` and what a listing has of it."""

    expected: Count
    images: int
    persons: int


@dataclass(frozen=True)
class Collection:
    """A public collection.

    name: as `--as` takes it, and its scenario unless another is given. owner: who gives it out. licence: its terms,
    in words. measures: what it is used for. layout: its folders as they must lie, a line each. protocol: the key of
    itkm_core.evaluation.protocols. variants: ways to read it (a trial, a kind of box), the first is the default.
    sources: where these facts are from. unconfirmed: facts that no public documentation was found for.
    read: `read(root, scenario, variant)`, scenario and variant as they hold.
    """

    name: str
    title: str
    owner: str
    paper: str
    licence: str
    measures: str
    layout: str
    expected: tuple[Count, ...]
    sources: tuple[str, ...]
    read: Callable[[str, str, str], Listing]
    protocol: str
    variants: tuple[str, ...] = ()
    unconfirmed: str = ""


def count_found(expected: Sequence[Count], rows: pa.Table, variant: str = "") -> list[Found]:
    """What a listing (LISTING_SCHEMA) has of each count that holds for the variant."""
    found = []
    for count in expected:
        if count.variant not in ("", variant):
            continue
        here = rows
        if count.split is not None:
            here = here.filter(pc.field("split") == count.split)
        if count.group is not None:
            here = here.filter(pc.field("group") == count.group)
        if count.without_junk:
            here = here.filter(pc.field("person") >= DISTRACTOR)
        people = here["person"].to_numpy()
        found.append(Found(count, here.num_rows, len(np.unique(people[people > DISTRACTOR]))))
    return found
