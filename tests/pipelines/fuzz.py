"""What the tests with random and damaged files share: an error of ours, or what is in the file.

ITKM_FUZZ_EXAMPLES: how many files in all (2,000 without it).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st

from itkm_core.errors import ItkmError

EXAMPLES = int(os.environ.get("ITKM_FUZZ_EXAMPLES", "2000"))
READERS = 10


def fuzz(test: Callable[..., None]) -> Callable[..., None]:
    """Its share of the examples, the same ones in every run."""
    share = settings(
        max_examples=max(1, EXAMPLES // READERS),
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    return pytest.mark.timeout(300 + EXAMPLES // 5)(share(test))


def read_or_refuse(read: Callable[[], Any]) -> Any:
    """What `read` returns, or None after an error of ours, whose message is text."""
    try:
        found = read()
    except ItkmError as error:
        str(error).encode()  # a message can be printed
        event("refused")
        return None
    event("read")
    return found


def mostly(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in eight is the other: where several are drawn, most files are still as they should be."""
    return st.integers(0, 7).flatmap(lambda number: usual if number else other)


# Changes to a file: bytes that are flipped, put in, or cut off.
damages = st.tuples(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    st.one_of(st.none(), st.tuples(st.floats(0, 1), st.binary(max_size=8))),
    st.one_of(st.just(1.0), st.floats(0, 1)),
)


UNDAMAGED = ([], None, 1.0)


def damaged(data: bytes, damage: Any) -> bytes:
    flips, put, keep = damage
    changed = bytearray(data)
    for place, value in flips:
        if changed:
            changed[int(place * len(changed))] ^= value
    if put is not None:
        at = int(put[0] * len(changed))
        changed[at:at] = put[1]
    return bytes(changed[: round(keep * len(changed))])


words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)
numbers = st.integers(-3, 12).map(str)


def arrow_columns(size: int) -> st.SearchStrategy[pa.Array]:
    def of(values: st.SearchStrategy[Any], kind: pa.DataType) -> st.SearchStrategy[pa.Array]:
        some = st.one_of(st.none(), values)
        return st.lists(some, min_size=size, max_size=size).map(lambda v: pa.array(v, kind))

    return st.one_of(
        of(st.integers(-(2**63), 2**63 - 1), pa.int64()),
        of(st.integers(0, 2**64 - 1), pa.uint64()),
        of(st.integers(-2, 5), pa.int8()),
        of(st.floats(), pa.float64()),
        of(st.floats(width=16), pa.float32()),
        of(st.one_of(numbers, words), pa.string()),
        of(st.booleans(), pa.bool_()),
        of(st.binary(max_size=3), pa.binary()),
        of(st.lists(st.floats(width=32), max_size=3), pa.list_(pa.float32())),
        of(st.none(), pa.null()),
        of(st.sampled_from("ab"), pa.string()).map(lambda array: array.dictionary_encode()),
    )
