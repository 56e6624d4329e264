"""Random and damaged lists of pictures: refused with an error of ours, or read as they are."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz import (
    UNDAMAGED,
    arrow_columns,
    damaged,
    damages,
    fuzz,
    mostly,
    numbers,
    read_or_refuse,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.collections.folder import list_images
from itkm_core.collections.listing import Listing
from itkm_core.corpus.schema import LISTING_SCHEMA

# Values as lists of pictures have them, and worse.
ODD = """-1 -1.0 3.0 03 3. 1e3 nan NA null cam2 cam10 ١ +1 - c1 2_0 2147483648 9223372036854775807
9223372036854775808 -9223372036854775809 " """
odd = st.sampled_from(["", " ", " 3", "x y", *ODD.split()])
columns = st.one_of(
    st.lists(numbers, min_size=1, max_size=6),
    st.lists(st.one_of(numbers, odd), min_size=1, max_size=6),
    st.lists(st.one_of(numbers, odd, words), min_size=1, max_size=6),
)
FIELDS = ("camera", "person", "clothes")


def obvious_ids(texts: list[str], first: int, largest: int) -> list[int] | None:
    """The slow twin of `number_names`; None where a number is too large."""
    plain = [text.strip() for text in texts]
    numbers: dict[str, int] = {}
    for text in plain:
        whole = (
            text.rstrip("0").rstrip(".") if "." in text and text.rstrip("0").endswith(".") else text
        )
        digits = whole.removeprefix("-")
        if digits and set(digits) <= set("0123456789"):
            numbers[text] = int(whole)
    if any(abs(number) >= 2**63 for number in numbers.values()):
        return None
    present = {text for text in plain if text}
    known = [number for number in numbers.values() if number >= 0]
    if present <= set(numbers) and all(number <= largest for number in known):
        shift = 1 if first and 0 in known else 0
        if any(number + shift >= 2**63 for number in known):
            return None
        return [numbers[t] + shift if t and numbers[t] >= 0 else -1 for t in plain]
    short = present <= set(numbers)
    names = {
        t: str(numbers[t]) if t in numbers and (short or "." in t) else t
        for t in present
        if numbers.get(t, 0) >= 0
    }

    def parts(name: str) -> Any:
        split = re.split("([0-9]+)", name)
        return [int(part) if place % 2 else part for place, part in enumerate(split)], name

    ranks = {name: rank for rank, name in enumerate(sorted(set(names.values()), key=parts), 1)}
    return [ranks[names[t]] if t in names else -1 for t in plain]


def check_listing_is_right(listing: Listing, columns: dict[str, list[str]]) -> None:
    rows = {row["uri"]: row for row in listing.rows.to_pylist()}
    for name in FIELDS:
        largest = 2**31 - 1 if name == "camera" else 2**63 - 1
        expected = obvious_ids(columns[name], 1 if name == "person" else 0, largest)
        assert [rows[f"{row}.png"][name] for row in range(len(rows))] == expected
    for number, camera in listing.camera_names.items():
        assert any(row["camera"] == number for row in rows.values()), camera


@fuzz
@given(st.data())
def test_csv_lists(folder: Path, data: st.DataObject) -> None:
    first = data.draw(columns)
    size = len(first)
    values = {name: (data.draw(columns) * 6)[:size] for name in FIELDS}
    values["camera"] = first
    text = io.StringIO()
    writer = csv.writer(
        text, quoting=data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    )
    writer.writerow(["uri", *FIELDS])
    writer.writerows([f"{row}.png", *(values[name][row] for name in FIELDS)] for row in range(size))
    (folder / "m.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    listing = read_or_refuse(lambda: list_images(str(folder), manifest=str(folder / "m.csv")))
    if listing is None:
        assert any(
            obvious_ids(values[name], int(name == "person"), 2**63 - 1) is None for name in FIELDS
        )
    else:
        check_listing_is_right(listing, values)


@fuzz
@given(mostly(damages, st.binary(max_size=200)))
def test_damaged_csv_lists(folder: Path, damage: Any) -> None:
    whole = b"uri,scenario,group,camera,split,person\n" + b"".join(
        b"%d.png,uvi,%d,cam%d,train,%d\n" % (row, row % 2, row, row) for row in range(5)
    )
    (folder / "d.csv").write_bytes(damage if isinstance(damage, bytes) else damaged(whole, damage))
    listing = read_or_refuse(lambda: list_images(str(folder), manifest=str(folder / "d.csv")))
    if listing is not None:
        assert listing.rows.schema == LISTING_SCHEMA
        assert set(listing.rows["group"].to_pylist()) <= {0, 1}
        if damage == UNDAMAGED:
            assert listing.rows["person"].to_pylist() == [1, 2, 3, 4, 5]


names = st.sampled_from(
    ["uri", "path", "camera", "Camera", " person", "clothes", "scenario", "group", "split", "x.y"]
)


@fuzz
@given(st.data())
def test_parquet_lists(folder: Path, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 4))
    usual = st.lists(st.sampled_from(FIELDS), unique=True, max_size=3)
    others = data.draw(mostly(usual, st.lists(names, max_size=5)))
    arrays = [pa.array([f"{row}.png" for row in range(size)], pa.string())]
    arrays += [data.draw(arrow_columns(size)) for _ in others]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=["uri", *others]), sink)
    damage = data.draw(mostly(st.none(), damages))
    whole = sink.getvalue()
    (folder / "m.parquet").write_bytes(whole if damage is None else damaged(whole, damage))
    listing = read_or_refuse(lambda: list_images(str(folder), manifest=str(folder / "m.parquet")))
    if listing is not None and damage is None:
        assert listing.rows["uri"].to_pylist() == [f"{row}.png" for row in range(size)]
        for name, array in zip(others, arrays[1:], strict=True):
            if name.strip().lower() in FIELDS and pa.types.is_integer(array.type):
                texts = ["" if value is None else str(value) for value in array.to_pylist()]
                field = name.strip().lower()
                largest = 2**31 - 1 if field == "camera" else 2**63 - 1
                expected = obvious_ids(texts, int(field == "person"), largest)
                assert listing.rows[field].to_pylist() == expected
