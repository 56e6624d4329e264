"""MARS (Zheng et al., ECCV 2016): tracklets ask for tracklets.

Confirmed in the authors' code, https://github.com/liangzheng06/MARS-evaluation (test_mars.m,
utils/evaluation_mars.m): a tracklet is the mean of its images' features; the gallery has all test tracklets, those of
the queries among them; tracklets of the query's person by its camera, so also itself, and junk are left out. Without
the queries in the gallery 140 of them have no match (https://github.com/guxinqian/TKP/issues/6).

Where public codes differ: those that list 1,980 queries and 9,330 gallery tracklets, as torchreid does, take the
queries out of the gallery and skip those 140; that setting is given beside the authors'. The authors average each
precision with the one before it; here AP is that of `rank`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from itkm_core.evaluation.arrays import IntArray
from itkm_core.evaluation.protocols.setting import Setting, Tested, within
from itkm_core.evaluation.rules import Rules
from itkm_core.neighbors.groups import number_groups


def settings(tested: Tested) -> list[Setting]:
    """With the queries in the gallery, as the authors have it, and without."""
    query, gallery = (_first_rows(tested, tested.rows(split)) for split in ("query", "gallery"))
    every = np.sort(np.concatenate([query, gallery]))
    found = [
        within(tested, "tracklets", query, every, Rules()),
        within(tested, "tracklets, queries not in the gallery", query, gallery, Rules()),
    ]
    return [replace(setting, tracklets=True) for setting in found]


def _first_rows(tested: Tested, rows: IntArray) -> IntArray:
    """The first of these rows of each tracklet, ascending; images of no tracklet are left out."""
    rows = rows[tested.tracklet[rows] >= 0]
    _, first = number_groups(tested.group[rows], tested.camera[rows], tested.tracklet[rows])
    return np.sort(rows[first])
