"""SYSU-MM01 against loops that follow its authors' description, with their draws and without."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from naive_protocol import (
    Image,
    as_tested,
    check,
    make_images,
    naive,
    naive_shots,
    summaries,
)
from scipy.io import loadmat

from itkm_core.evaluation.protocols.known import settings_of
from itkm_core.evaluation.protocols.setting import Drawn

PLACES = [
    (camera in (3, 6), camera, "query" if camera in (3, 6) else "gallery") for camera in range(1, 7)
]
SETTINGS = {
    "all-search single-shot": ((1, 2, 4, 5), 1),
    "all-search 10-shot": ((1, 2, 4, 5), 10),
    "indoor-search single-shot": ((1, 2), 1),
    "indoor-search 10-shot": ((1, 2), 10),
}
COLLECTIONS = Path(
    os.environ.get("ITKM_COLLECTIONS", Path(__file__).parents[5] / "shared/collections")
)


def one_place(asking: Image, answer: Image) -> bool:
    """Cameras 2 and 3 stand in one place."""
    return asking.camera == 3 and answer.camera == 2


def of_camera(image: Image) -> tuple[int, int]:
    return image.person, image.camera


@pytest.mark.parametrize("published", [False, True])
def test_agrees_with_loops(published: bool) -> None:
    images, features = make_images(
        [(int(g), c, s) for g, c, s in PLACES], most=12, persons=range(1, 4)
    )
    query = [each for each in images if each.split == "query"]
    gallery = [each for each in images if each.split == "gallery"]
    places: dict[tuple[int, int], int] = {}
    if published:
        rng = np.random.default_rng(3)
        rows = [(draw, each) for draw in range(4) for each in rng.permutation(len(gallery))]
        for draw, at in rows:
            mine = [
                places[k]
                for k in places
                if k[0] == draw and of_camera(gallery[k[1]]) == of_camera(gallery[at])
            ]
            places[draw, int(at)] = len(mine)
        drawn = Drawn(
            np.array([gallery[at].row for _, at in places]),
            np.array([draw for draw, _ in places]),
            np.array(list(places.values())),
        )
    found = summaries("sysu-mm01", images, features, drawn if published else None)
    assert list(found) == list(SETTINGS)
    for name, (cameras, shots) in SETTINGS.items():
        if published:
            draws = [
                [each for at, each in enumerate(gallery) if places[draw, at] < shots]
                for draw in range(4)
            ]
        else:
            draws = naive_shots(gallery, shots, of_camera)
        draws = [[each for each in draw if each.camera in cameras] for draw in draws]
        scores = [naive(query, draw, features, one_place, persons_once=True) for draw in draws]
        check(found[name], scores, (1, 0))


@pytest.mark.skipif(not COLLECTIONS.exists(), reason="needs the collections' published lists")
def test_galleries_are_as_large_as_the_published_draws_make_them() -> None:
    cells = loadmat(COLLECTIONS / "sysu-mm01/rand_perm_cam.mat")["rand_perm_cam"]
    people = loadmat(COLLECTIONS / "sysu-mm01/test_id.mat")["id"].ravel()
    images: list[Image] = []
    drawn: list[tuple[int, int, int]] = []
    for camera in (1, 2, 4, 5):
        for person in people.tolist():
            orders = cells[camera - 1, 0]
            order = orders[person - 1, 0] if person <= len(orders) else np.empty((10, 0))
            for number in range(order.shape[1]):
                at = np.flatnonzero(order == number + 1) % order.shape[1]
                drawn += [(len(images), draw, int(place)) for draw, place in enumerate(at)]
                images.append(Image(len(images), 0, camera, "gallery", person, -1, -1))
    images.append(Image(len(images), 1, 3, "query", 6, -1, -1))
    tested = as_tested(images, Drawn(*np.array(drawn).T))
    sizes = {
        setting.name: {len(draw.gallery) for draw in setting.draws}
        for setting in settings_of("sysu-mm01", tested)
    }
    assert sizes == dict(zip(SETTINGS, ({301}, {3010}, {112}, {1120}), strict=True))
