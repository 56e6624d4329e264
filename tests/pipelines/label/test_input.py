"""Features made elsewhere: what is read, and what is refused with one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.errors import FeatureError, ItkmError, StorageError
from pipelines.label.input import read_input

ROWS = np.eye(6, 4, dtype=np.float32) + np.eye(6, 4, -4, dtype=np.float32)


def saved(folder: Path, array: object, name: str = "rows.npy") -> str:
    np.save(folder / name, np.asarray(array))
    return str(folder / name)


def parquet(folder: Path, **columns: object) -> str:
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return str(folder / "rows.parquet")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_a_numpy_file_of_any_float(tmp_path: Path, kind: str) -> None:
    found = read_input(saved(tmp_path, ROWS.astype(kind)), None, normalise=False)
    np.testing.assert_array_equal(found.features, ROWS)
    np.testing.assert_array_equal(found.ids, np.arange(6))
    assert [block for block, _ in found.parts()] == [("", -1)]


def test_float32_is_mapped_and_not_copied(tmp_path: Path) -> None:
    found = read_input(saved(tmp_path, ROWS), None, normalise=False)
    base = found.features
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float32(), 4),
        pa.list_(pa.float16(), 4),
    ],
)
def test_parquet_with_any_lists_of_floats(tmp_path: Path, kind: pa.DataType) -> None:
    flat = pa.array(ROWS.ravel().astype(kind.value_type.to_pandas_dtype()))
    fixed = pa.FixedSizeListArray.from_arrays(flat, 4)
    lists = fixed if kind == fixed.type else fixed.cast(kind)
    path = parquet(tmp_path, sample_id=[9, 8, 7, 3, 2, 1], feature=lists)
    found = read_input(path, None, normalise=False)
    np.testing.assert_array_equal(found.features, ROWS)
    assert found.ids.tolist() == [9, 8, 7, 3, 2, 1]


def test_groups_are_apart_where_they_are_known(tmp_path: Path) -> None:
    scenario = ["uvi", "uvi", "ucc", "ucc", "uvi", "uvi"]
    group = pa.array([0, 1, 0, 0, 1, 1], pa.int8())
    path = parquet(
        tmp_path, sample_id=list(range(6)), feature=ROWS.tolist(), scenario=scenario, group=group
    )
    found = read_input(path, None, normalise=False)
    parts = {block: part for block, part in found.parts()}
    assert {key: part.ids.tolist() for key, part in parts.items()} == {
        ("ucc", 0): [2, 3],
        ("uvi", 0): [0],
        ("uvi", 1): [1, 4, 5],
    }
    np.testing.assert_array_equal(parts["uvi", 1].features, ROWS[[1, 4, 5]])


def test_normalise_divides_each_row_by_its_norm(tmp_path: Path) -> None:
    scale = np.array([1e-20, 1, 3, 1e5, 7, 2])[:, None]
    path = saved(tmp_path, ROWS.astype(np.float64) * scale)
    found = read_input(path, None, normalise=True)
    np.testing.assert_allclose(found.features, ROWS, rtol=1e-6)
    with pytest.raises(FeatureError, match=r"5 of 6 rows are not of unit norm.*row 0.*--normalise"):
        read_input(path, None, normalise=False)


def with_rows(**rows: float) -> np.ndarray:
    bad = ROWS.copy()
    for name, value in rows.items():
        bad[int(name[1:])] = value
    return bad


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (with_rows(r2=np.nan, r4=np.inf), "2 of 6 rows hold NaN.*the first is row 2"),
        (np.ones((4, 4), int), "dtype int64; expected .npy with floats"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.ones((2, 0)), "2 rows without numbers"),
    ],
)
def test_arrays_that_are_no_features(tmp_path: Path, array: np.ndarray, said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        read_input(saved(tmp_path, array), None, normalise=False)


def test_a_zero_row_has_no_direction(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"1 of 6 rows are zero.*row 3"):
        read_input(saved(tmp_path, with_rows(r3=0.0)), None, normalise=True)


def test_no_row_is_read_as_none(tmp_path: Path) -> None:
    path = saved(tmp_path, np.zeros((0, 4), np.float32))
    assert len(read_input(path, None, normalise=False).ids) == 0
    path = parquet(
        tmp_path, sample_id=pa.array([], pa.int64()), feature=pa.array([], pa.list_(pa.float32()))
    )
    assert len(read_input(path, None, normalise=False).ids) == 0


@pytest.mark.parametrize("keep", [3, 40, 100, 140])
def test_a_file_that_is_cut_off(tmp_path: Path, keep: int) -> None:
    path = Path(saved(tmp_path, ROWS))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FeatureError, match=r"cut off|not a NumPy file"):
        read_input(str(path), None, normalise=False)
    path = Path(parquet(tmp_path, sample_id=[1], feature=[[1.0]]))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FeatureError, match="cut off or not a Parquet"):
        read_input(str(path), None, normalise=False)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(FeatureError, match="not an array of plain numbers"):
        read_input(str(tmp_path / "o.npy"), None, normalise=False)


@pytest.mark.parametrize("name", ["gone.npy", "folder.npy", "rows.csv"])
def test_a_path_that_is_no_features(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "rows.csv").write_text("1,2")
    with pytest.raises(ItkmError, match=r"expected \.npy"):
        read_input(str(tmp_path / name), None, normalise=False)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (np.arange(5), "expected 6 integers"),
        (np.arange(6.0), "dtype float64"),
        (np.array([1, 2, 2, 3, 3, 4]), "2 sample ids are repeated, the first is 2"),
        (np.arange(6, dtype=np.uint64) + np.uint64(2**63 - 4), f"go up to {2**63 + 1}; .*int64"),
        (np.arange(6).astype("m8[s]"), "dtype timedelta64"),
    ],
)
def test_ids_that_do_not_name_the_rows(tmp_path: Path, ids: np.ndarray, said: str) -> None:
    path = saved(tmp_path, ROWS)
    with pytest.raises(FeatureError, match=said):
        read_input(path, saved(tmp_path, ids, "ids.npy"), normalise=False)
    with pytest.raises(StorageError, match="no such file"):
        read_input(path, str(tmp_path / "none.npy"), normalise=False)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (dict(feature=[[1.0]]), "no column sample_id"),
        (dict(sample_id=[1]), "no column feature"),
        (dict(sample_id=["a"], feature=[[1.0]]), "sample_id is string"),
        (dict(sample_id=[1, None], feature=[[1.0], [1.0]]), "1 rows have no sample_id"),
        (dict(sample_id=[1, 2], feature=[[1.0], None]), "1 rows have no feature"),
        (
            dict(sample_id=pa.array([2**64 - 1], pa.uint64()), feature=[[1.0]]),
            f"go up to {2**64 - 1}",
        ),
        (dict(sample_id=[1, 1], feature=[[1.0], [1.0]]), "1 sample ids are repeated"),
        (dict(sample_id=[1, 2], feature=[[1.0], [1.0, 0.0]]), "from 1 to 2 numbers"),
        (dict(sample_id=[1], feature=[[1]]), "expected lists of floats"),
        (dict(sample_id=[1], feature=[1.0]), "expected lists of floats"),
        (dict(sample_id=[1, 2], feature=[[1.0], [None]]), "1 of 2 rows hold NaN.*row 1"),
        (dict(sample_id=[1], feature=[[1.0]], scenario=["uvi"]), "only one of the columns"),
        (dict(sample_id=[1], feature=[[1.0]], scenario=[""], group=[0]), "a scenario has no name"),
        (dict(sample_id=[1], feature=[[1.0]], scenario=[b"a"], group=[0]), "scenario is binary"),
        (
            dict(sample_id=[1], feature=[[1.0]], scenario=["a"], group=[2]),
            "group is not always 0 or 1",
        ),
    ],
)
def test_parquet_that_is_no_features(tmp_path: Path, columns: dict[str, object], said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        read_input(parquet(tmp_path, **columns), None, normalise=False)


def test_a_column_twice(tmp_path: Path) -> None:
    table = pa.table(
        [pa.array([1]), pa.array([2]), pa.array([[1.0]])], ["sample_id", "sample_id", "feature"]
    )
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(FeatureError, match="the column sample_id 2 times"):
        read_input(str(tmp_path / "twice.parquet"), None, normalise=False)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, ">i8", np.uint64])
def test_ids_of_any_integers(tmp_path: Path, kind: str) -> None:
    ids = saved(tmp_path, np.arange(6, 0, -1).astype(kind), "ids.npy")
    found = read_input(saved(tmp_path, ROWS), ids, normalise=False)
    assert found.ids.tolist() == [6, 5, 4, 3, 2, 1]
    assert found.ids.dtype == np.int64


def test_the_largest_ids_there_are(tmp_path: Path) -> None:
    path = saved(tmp_path, ROWS)
    found = read_input(path, None, normalise=False, first_id=2**63 - 6)
    assert found.ids.tolist()[-1] == 2**63 - 1
    for first_id in (2**63 - 5, 2**63):
        with pytest.raises(
            FeatureError, match=r"6 sample ids from .* do not end before 9223372036"
        ):
            read_input(path, None, normalise=False, first_id=first_id)


def test_a_header_that_is_none(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, ROWS))
    data = path.read_bytes()
    for old, new in (
        (b"'<f4'", b"'<U0'"),
        (b"(6, 4)", b"(6,-4)"),
        (b"(6, 4)", b"(1e9)0"),
        (b"False", b"{1:1}"),
    ):
        path.write_bytes(data.replace(old, new))
        with pytest.raises(FeatureError, match="expected"):
            read_input(str(path), None, normalise=False)
