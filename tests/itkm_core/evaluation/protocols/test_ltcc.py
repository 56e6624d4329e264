"""LTCC: what is left out with and without a change of clothes."""

from __future__ import annotations

from naive_protocol import Image, check, make_images, naive, same_camera, summaries


def same_camera_or_clothes(asking: Image, answer: Image) -> bool:
    same_clothes = asking.person == answer.person and asking.clothes == answer.clothes
    return same_clothes or same_camera(asking, answer)


def test_agrees_with_loops() -> None:
    places = [(0, camera, split) for camera in (1, 2, 3) for split in ("query", "gallery")]
    images, features = make_images(places, most=3)
    query, gallery = ([each for each in images if each.split == s] for s in ("query", "gallery"))
    found = summaries("ltcc", images, features)
    assert list(found) == ["cloth-changing", "standard"]
    changing = naive(query, gallery, features, same_camera_or_clothes)
    check(found["cloth-changing"], [changing], (0, 0))
    check(found["standard"], [naive(query, gallery, features, same_camera)], (0, 0))
    assert changing["num_skipped"] > found["standard"]["num_skipped"]
