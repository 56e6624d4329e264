"""Random and damaged features and ids: refused with an error of ours, or read as they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz import arrow_columns, damaged, damages, fuzz, mostly, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from made import unit, unit_noise

from pipelines.label.input import FeatureSet, read_input

ROWS = unit_noise(6, 4)
floats = st.sampled_from(["f2", "<f4", ">f4", "f8", "g"])
no_floats = st.sampled_from(["i4", "u8", "c8", "O", "U3", "m8[s]", "?"])


def array_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def check_features(found: FeatureSet, rows: np.ndarray, normalise: bool) -> None:
    assert len(np.unique(found.ids)) == len(found.ids) == len(found.features) == len(rows)
    assert found.ids.dtype == np.int64
    wide = np.asarray(rows, np.float64)
    if normalise:
        wide = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(found.features, np.float64), wide, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.features.astype(float), axis=1), 1, atol=2e-3)


@fuzz
@given(
    mostly(floats, no_floats),
    mostly(
        st.sampled_from([(6, 4), (1, 4), (3, 2)]),
        st.sampled_from([(6,), (0, 4), (6, 0), (2, 3, 4), ()]),
    ),
    st.booleans(),
    mostly(st.sampled_from([1.0, 1e-3, 7.0]), st.sampled_from([0, np.nan, np.inf])),
    mostly(st.none(), damages),
    st.booleans(),
    st.sampled_from([0, 7, 2**63 - 6, 2**63 - 3, 2**63]),
)
def test_numpy_features(
    folder: Path, kind, shape, columns_first, scale, damage, normalise, first_id
) -> None:
    flat = np.resize(ROWS.ravel(), int(np.prod(shape))).reshape(shape)
    if flat.ndim == 2 and flat.size:
        flat = unit(flat)
        scale = scale if normalise or scale == 0 else 1.0
    with np.errstate(all="ignore"):
        array = (flat * scale).astype(kind)
    array = np.asfortranarray(array) if columns_first else array
    whole = array_bytes(array)
    (folder / "f.npy").write_bytes(whole if damage is None else damaged(whole, damage))
    read = lambda: read_input(str(folder / "f.npy"), None, normalise=normalise, first_id=first_id)  # noqa: E731
    found = read_or_refuse(read)
    if found is not None and damage is None:
        check_features(found, array, normalise)
        assert found.ids.tolist() == [first_id + row for row in range(len(array))]


@fuzz
@given(
    st.sampled_from(["i8", ">i8", "u8", "u1", "i4", "f8", "O", "m8[s]", "?"]),
    mostly(
        st.lists(st.integers(-9, 99), min_size=6, max_size=6, unique=True),
        st.lists(st.one_of(st.integers(0, 7), st.integers(2**63 - 2, 2**63 + 2)), max_size=7),
    ),
    mostly(st.none(), damages),
)
def test_ids(folder: Path, kind, ids, damage) -> None:
    try:
        array = np.array(ids, object).astype(kind)
    except OverflowError:
        return
    whole = array_bytes(array)
    np.save(folder / "rows.npy", ROWS)
    (folder / "i.npy").write_bytes(whole if damage is None else damaged(whole, damage))
    found = read_or_refuse(
        lambda: read_input(str(folder / "rows.npy"), str(folder / "i.npy"), normalise=False)
    )
    if found is not None and damage is None:
        assert found.ids.tolist() == ids
        check_features(found, ROWS, False)


@fuzz
@given(st.data())
def test_parquet_features(folder: Path, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 4))
    rows = ROWS[:size]
    good = {
        "sample_id": pa.array(range(size), pa.int64()),
        "feature": pa.array(rows.tolist(), pa.list_(pa.float32())),
        "scenario": pa.array(["uvi"] * size, pa.string()),
        "group": pa.array([row % 2 for row in range(size)], pa.int8()),
    }
    usual = st.sampled_from([["sample_id", "feature"], [*good], [*reversed(good)]])
    named = data.draw(mostly(usual, st.lists(st.sampled_from([*good, "x"]), max_size=6)))
    arrays = [
        data.draw(mostly(st.just(good[name]), arrow_columns(size)))
        if name in good
        else data.draw(arrow_columns(size))
        for name in named
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=named), sink)
    damage = data.draw(mostly(st.none(), damages))
    whole = sink.getvalue()
    (folder / "f.parquet").write_bytes(whole if damage is None else damaged(whole, damage))
    found = read_or_refuse(lambda: read_input(str(folder / "f.parquet"), None, normalise=False))
    if found is not None:
        sum(len(part.ids) for _, part in found.parts())
        if damage is None:
            by_name = dict(zip(named, arrays, strict=True))
            assert found.ids.tolist() == by_name["sample_id"].to_pylist()
            expected = np.array(by_name["feature"].to_pylist(), np.float64)
            expected = expected.reshape(len(found.ids), found.features.shape[1])
            check_features(found, expected, False)
