from __future__ import annotations

import numpy as np
import pytest

from itkm_core.collections.groups import group_by_camera, group_by_height, group_undecided
from itkm_core.collections.listing import make_listing
from itkm_core.corpus.schema import LISTING_SCHEMA
from itkm_core.errors import CorpusError


def listing(cameras):
    uris = [f"{i}.jpg" for i in range(len(cameras))]
    return make_listing(uris, {"camera": cameras}, source="here")


def test_named_cameras_are_group_one() -> None:
    table = group_by_camera(listing(["1", "3", "6", "3", "2"]), (3, 6), "here").rows
    assert table["group"].to_pylist() == [0, 1, 1, 1, 0]
    assert table.schema == LISTING_SCHEMA


def test_a_camera_that_never_occurs_is_a_mistake() -> None:
    with pytest.raises(CorpusError, match=r"no picture of camera 6, .* the cameras are \[1, 3\]"):
        group_by_camera(listing(["1", "3"]), (3, 6), "here")
    with pytest.raises(CorpusError, match=r"the camera of '1\.jpg' is unknown"):
        group_by_camera(listing(["1", None]), (1,), "here")


@pytest.mark.parametrize(
    ("cameras", "wanted", "groups"),
    [
        (["1.0", "2.0", "3.0", "6.0", "10.0"], (3,), [0, 0, 1, 0, 0]),
        ([" 1", " 2", "03"], ("3",), [0, 0, 1]),
        (["1", "3"], ("03", "1.0"), [1, 1]),
        (["cam1", "cam2", "cam10"], ("cam10",), [0, 0, 1]),
        (["c1", "2", "3", "10"], (3, "c1"), [1, 0, 1, 0]),
        (["c1", "02", "2"], ("02",), [0, 1, 0]),
        ([str(2**40), "1"], (2**40,), [1, 0]),
    ],
)
def test_cameras_are_called_as_the_source_calls_them(cameras, wanted, groups) -> None:
    table = group_by_camera(listing(cameras), wanted, "here").rows
    assert table["group"].to_pylist() == groups


@pytest.mark.parametrize("wanted", [3, "cam3", "-1", ""])
def test_a_rank_is_no_name(wanted) -> None:
    names = [f"cam{number}" for number in (1, 2, 6, 10)]
    with pytest.raises(CorpusError, match=r"the cameras are \['cam1', 'cam2', 'cam6', 'cam10'\]"):
        group_by_camera(listing(names), (wanted,), "here")
    many = [f"cam{number}" for number in range(50)]
    with pytest.raises(CorpusError, match=r"'cam19'\] and 30 more"):
        group_by_camera(listing(many), ("yard",), "here")


def test_heights_decide_the_open_ones_only() -> None:
    assert group_undecided(listing(["1"])).rows["group"].to_pylist() == [-1]
    groups = group_by_height(np.array([-1, -1, -1, 0, 1]), np.array([63, 64, 65, 1, 99]), 64)
    assert groups.tolist() == [1, 0, 0, 0, 1]
    assert groups.dtype == np.int8
    each = group_by_height(np.array([-1, -1]), np.array([50, 50]), np.array([40, 60]))
    assert each.tolist() == [0, 1]
