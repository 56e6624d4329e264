"""VC-Clothes: by pairs of cameras, by all, and by clothes."""

from __future__ import annotations

from naive_protocol import Image, check, make_images, naive, same_camera, summaries

CAMERAS = {"cloth-changing": (3, 4), "same clothes": (2, 3), "all cameras": (1, 2, 3, 4)}


def same_camera_or_clothes(asking: Image, answer: Image) -> bool:
    same_clothes = asking.person == answer.person and asking.clothes == answer.clothes
    return same_clothes or same_camera(asking, answer)


def test_agrees_with_loops() -> None:
    places = [(0, camera, split) for camera in (1, 2, 3, 4) for split in ("query", "gallery")]
    images, features = make_images(places, most=3)
    query, gallery = ([each for each in images if each.split == s] for s in ("query", "gallery"))
    found = summaries("vc-clothes", images, features)
    assert list(found) == [*CAMERAS, "cloth-changing by clothes"]
    for name, cameras in CAMERAS.items():
        asking, asked = (
            [each for each in part if each.camera in cameras] for part in (query, gallery)
        )
        check(found[name], [naive(asking, asked, features, same_camera)], (0, 0))
    by_clothes = naive(query, gallery, features, same_camera_or_clothes)
    check(found["cloth-changing by clothes"], [by_clothes], (0, 0))
