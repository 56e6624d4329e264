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
    table = group_by_camera(listing(["1", "3", "6", "3", "2"]), (3, 6), "here")
    assert table["group"].to_pylist() == [0, 1, 1, 1, 0]
    assert table.schema == LISTING_SCHEMA


def test_a_camera_that_never_occurs_is_a_mistake() -> None:
    with pytest.raises(CorpusError, match=r"no picture of camera 6, .* the cameras are \[1, 3\]"):
        group_by_camera(listing(["1", "3"]), (3, 6), "here")
    with pytest.raises(CorpusError, match=r"the camera of '1\.jpg' is unknown"):
        group_by_camera(listing(["1", None]), (1,), "here")


def test_heights_decide_the_open_ones_only() -> None:
    assert group_undecided(listing(["1"]))["group"].to_pylist() == [-1]
    groups = group_by_height(np.array([-1, -1, -1, 0, 1]), np.array([63, 64, 65, 1, 99]), 64)
    assert groups.tolist() == [1, 0, 0, 0, 1]
    assert groups.dtype == np.int8
    each = group_by_height(np.array([-1, -1]), np.array([50, 50]), np.array([40, 60]))
    assert each.tolist() == [0, 1]
