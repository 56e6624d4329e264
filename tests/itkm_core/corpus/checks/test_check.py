"""A whole corpus of made-up people: clean, nothing is said of it; with faults, those and no others."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made import encoded
from PIL import Image, ImageFilter

from itkm_core.corpus.checks.check import INDEX, check
from itkm_core.corpus.checks.issues import ISSUES_SCHEMA, KINDS
from itkm_core.corpus.checks.look import LOOK_SCHEMA, look_row
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import Sample, iter_samples

Row = dict[str, Any]
CLEAN = SyntheticConfig(people_train=5, people_test=3, images=4, seed=2)


def row_of(sample: Sample, data: bytes, **changes: Any) -> Row:
    width, height = Image.open(io.BytesIO(data)).size
    said = {name: getattr(sample, name) for name in ("scenario", "group", "camera", "split")}
    said |= {"tracklet": -1, "height": height, "width": width, "person": sample.person}
    return {**said, **look_row(-1, data), "sample": sample, "data": data, **changes}


@cache
def people() -> tuple[Row, ...]:
    return tuple(row_of(sample, sample.encoded()) for sample in iter_samples(CLEAN))


def checked(rows: list[Row]) -> pa.Table:
    columns = {
        name: [row[name] for row in rows] for name in rows[0] if name not in ("sample", "data")
    }
    table = pa.table({**columns, "sample_id": np.arange(len(rows))})
    looks = table.select(LOOK_SCHEMA.names).cast(LOOK_SCHEMA)
    identities = table.select(["sample_id", "person"])
    return check(table.select(INDEX), looks, identities, lambda done, all: None)


def spoilt(row: Row, change: Callable[[Image.Image], Image.Image]) -> Row:
    picture = change(Image.open(io.BytesIO(row["data"])).convert("RGB"))
    return row_of(row["sample"], encoded(picture, "JPEG", quality=85))


def test_nothing_is_said_of_clean_people() -> None:
    found = checked(list(people()))
    assert found.schema == ISSUES_SCHEMA
    assert found.to_pylist() == []


def test_every_fault_is_found_once_and_nothing_else() -> None:
    rows = list(people())
    train = [n for n, row in enumerate(rows) if row["split"] == "train" and row["height"] == 64]
    test = [n for n, row in enumerate(rows) if row["split"] == "query" and row["height"] == 64]
    a, b, c, d, e, f, g, h = train[::9][:8]
    rows[a] = spoilt(rows[a], lambda picture: picture.filter(ImageFilter.GaussianBlur(2)))
    rows[b] = spoilt(rows[b], lambda picture: picture.point(lambda value: value // 10))
    rows[c] = spoilt(rows[c], lambda picture: Image.new("RGB", picture.size, (90, 80, 70)))
    rows[d] = spoilt(rows[d], lambda picture: picture.resize((6, 12)))
    rows[e] = spoilt(rows[e], lambda picture: picture.crop((0, 0, 32, 20)))
    rows[f] = {**rows[f], "camera": 99}
    place = {name: rows[g][name] for name in ("scenario", "group", "camera", "person")}
    rows[test[0]] = {**rows[test[0]], **place}
    num = len(rows)
    query = {"split": "query", "person": -1}
    rows += [
        {**rows[g], **query},
        {**spoilt(rows[h], lambda picture: picture.crop((1, 2, 32, 64))), **query},
        {**rows[test[1]]},
        spoilt(rows[test[2]], lambda picture: picture.point(lambda value: value * 3 // 4)),
    ]
    found = [(r["kind"], r["sample_id"], r["other"]) for r in checked(rows).to_pylist()]
    assert found == [
        ("leak", num, g),
        ("near_leak", num + 1, h),
        ("person_in_both_splits", test[0], min(n for n in train if same_person(rows, n, g))),
        ("duplicate", num + 2, test[1]),
        ("near_duplicate", num + 3, test[2]),
        ("lone_camera", f, -1),
        ("constant", c, -1),
        ("dark", b, -1),
        ("blurred", a, -1),
        ("tiny", d, -1),
        ("odd_aspect", e, -1),
    ]
    assert [kind for kind, _, _ in found] == list(KINDS)


def same_person(rows: list[Row], this: int, that: int) -> bool:
    return all(rows[this][name] == rows[that][name] for name in ("scenario", "person"))


@pytest.mark.parametrize(("tracklets", "kinds"), [((4, 4), []), ((4, 5), ["near_duplicate"])])
def test_frames_of_one_tracklet_are_alike_by_nature(tracklets: tuple, kinds: list[str]) -> None:
    rows = list(people())
    brighter = spoilt(rows[0], lambda picture: picture.point(lambda value: min(255, value + 20)))
    rows[0], rows[1] = (
        {**each, "tracklet": t} for each, t in zip((rows[0], brighter), tracklets, strict=True)
    )
    assert checked(rows)["kind"].to_pylist() == kinds


def test_a_corpus_without_test_pictures_or_identities() -> None:
    rows = [{**row, "split": "train"} for row in people()[:20]]
    rows[3] = spoilt(rows[3], lambda picture: Image.new("RGB", picture.size, "grey"))
    table = pa.table(
        {name: [row[name] for row in rows] for name in {*INDEX, *LOOK_SCHEMA.names} - {"sample_id"}}
        | {"sample_id": np.arange(20)}
    )
    looks = table.select(LOOK_SCHEMA.names).cast(LOOK_SCHEMA)
    found = check(table.select(INDEX), looks, None, lambda done, all: None)
    assert found["kind"].to_pylist() == ["constant"]
