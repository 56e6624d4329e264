"""Which files the features of a step are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from itkm_core.errors import FeatureError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import feature_files, part_folder, read_features, write_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Features of images 0 to 5 of one group, two a file, and of image 6 of another scenario."""
    place = Place.at(tmp_path / "features")
    for first in (0, 2, 4):
        add(place, "uvi", f"from-{first}.parquet", [first, first + 1])
    add(place, "day/night", "from-6.parquet", [6])
    return place


def add(place: Place, scenario: str, name: str, ids: list[int]) -> str:
    rows = np.eye(8, dtype=np.float32)[ids]
    column = pa.FixedSizeListArray.from_arrays(rows.ravel(), 8)
    path = f"{part_folder(Block(scenario, 0), 'train')}/{name}"
    (place / path).write_table(pa.table({"sample_id": ids, "feature": column}))
    return path


def names(place: Place) -> list[str]:
    _, root = place.resolve()
    return [path.removeprefix(f"{root}/") for path in place.files(".parquet")]


def test_what_an_earlier_try_or_a_lost_machine_left_is_not_read(place: Place) -> None:
    write_files(place, names(place))
    add(place, "uvi", "from-1.parquet", [1, 2])
    folder = place / part_folder(Block("uvi", 0), "train")
    (folder / "from-9.parquet.tmp-0").write_bytes(b"half")
    found = read_features(place, np.arange(6), Block("uvi", 0))
    np.testing.assert_array_equal(found, np.eye(8)[:6])
    np.testing.assert_array_equal(read_features(place, np.array([6, 1])), np.eye(8)[[6, 1]])


def test_a_folder_that_names_no_files_is_listed(place: Place) -> None:
    (place / part_folder(Block("uvi", 0), "train") / "from-9.parquet.tmp-0").write_bytes(b"half")
    assert len(read_features(place, np.arange(7))) == 7
    only = [part_folder(Block("day/night", 0), "train") + "/from-6.parquet"]
    _, root = place.resolve()
    assert feature_files(place, Block("day/night", 0)) == [f"{root}/{only[0]}"]


def test_a_file_on_another_machine_is_said_to_be_there(place: Place) -> None:
    write_files(place, [*names(place), f"{part_folder(Block('uvi', 0), 'train')}/from-7.parquet"])
    with pytest.raises(FeatureError, match=r"from-7\.parquet.*not one that\s+all machines share"):
        read_features(place, np.arange(6), Block("uvi", 0))
    # Of a group whose files are all here, nothing is said.
    assert len(read_features(place, np.array([6]), Block("day/night", 0))) == 1


def test_no_files_are_no_features(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="no feature for 1 of 1 images"):
        read_features(Place.at(tmp_path), np.array([0]), Block("uvi", 1))
