"""LLCM: single-shot galleries of one side, drawn as its authors draw them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from naive_protocol import Image, check, make_images, naive, same_camera, summaries

PLACES = [(0, camera, "gallery") for camera in (1, 2, 3)] + [
    (1, camera, "query") for camera in (1, 3)
]


def choices(images: Sequence[Image], seed: int) -> list[Image]:
    random.seed(seed)
    chosen = []
    for person in sorted({each.person for each in images}):
        for camera in (1, 2, 3):
            mine = [each for each in images if (each.person, each.camera) == (person, camera)]
            chosen += [random.choice(mine)] if mine else []
    return sorted(chosen)


def test_agrees_with_loops() -> None:
    images, features = make_images(PLACES)
    infrared, visible = ([each for each in images if each.group == group] for group in (1, 0))
    found = summaries("llcm", images, features)
    drawn = {
        side: [choices(images, seed) for seed in range(10)]
        for side, images in enumerate((visible, infrared))
    }
    asked = {
        "infrared to visible": ([(infrared, draw) for draw in drawn[0]], (1, 0)),
        "visible to infrared": ([(visible, draw) for draw in drawn[1]], (0, 1)),
        "visible to infrared, as scripted": ([(draw, visible) for draw in drawn[1]], (1, 0)),
    }
    assert list(found) == list(asked)
    for name, (pairs, groups) in asked.items():
        scores = [
            naive(query, gallery, features, same_camera, persons_once=True)
            for query, gallery in pairs
        ]
        check(found[name], scores, groups)
