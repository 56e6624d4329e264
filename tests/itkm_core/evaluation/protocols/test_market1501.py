"""Market-1501 and those tested like it: junk, distractors and the query's own camera."""

from __future__ import annotations

import numpy as np
from naive_protocol import as_tested, check, make_images, naive, same_camera, summaries

from itkm_core.evaluation import rank
from itkm_core.evaluation.protocols.known import settings_of


def test_agrees_with_loops() -> None:
    places = [(0, camera, split) for camera in (1, 2, 3) for split in ("query", "gallery")]
    images, features = make_images(places, persons=range(-1, 7))
    query, gallery = ([each for each in images if each.split == s] for s in ("query", "gallery"))
    found = summaries("market1501", images, features)
    assert list(found) == ["single query"]
    check(found["single query"], [naive(query, gallery, features, same_camera)], (0, 0))


def test_the_groups_are_those_of_the_images() -> None:
    images, _ = make_images([(1, 1, "query"), (1, 2, "gallery")])
    (setting,) = settings_of("market1501", as_tested(images))
    assert (setting.query_group, setting.gallery_group) == (1, 1)


def test_it_is_what_rank_gives_by_itself() -> None:
    images, features = make_images([(0, c, s) for c in (1, 2) for s in ("query", "gallery")])
    columns = [
        [
            np.array([getattr(each, name) for each in images if each.split == s])
            for s in ("query", "gallery")
        ]
        for name in ("person", "camera")
    ]
    rows = [[each.row for each in images if each.split == s] for s in ("query", "gallery")]
    own = rank(features[rows[0]], features[rows[1]], *columns[0], *columns[1]).summary()
    found = summaries("market1501", images, features)["single query"]
    assert {name: found[name] for name in own} == own
