"""PRCC: cameras C and B ask for one image of each person by camera A, or for all."""

from __future__ import annotations

from naive_protocol import check, make_images, naive, naive_shots, never, summaries


def test_agrees_with_loops() -> None:
    images, features = make_images(
        [(0, 1, "gallery"), (0, 2, "query"), (1, 3, "query")], most=6, few=1
    )
    gallery = [each for each in images if each.camera == 1]
    found = summaries("prcc", images, features)
    assert list(found) == [
        f"{clothes} {shot}"
        for clothes in ("cloth-changing", "same clothes")
        for shot in ("single-shot", "multi-shot")
    ]
    drawn = naive_shots(gallery, 1, lambda image: image.person)
    assert all(len(draw) == 8 for draw in drawn)
    for name, camera in (("cloth-changing", 3), ("same clothes", 2)):
        query = [each for each in images if each.camera == camera]
        groups = (int(camera == 3), 0)
        singles = [naive(query, draw, features, never) for draw in drawn]
        check(found[f"{name} single-shot"], singles, groups)
        check(found[f"{name} multi-shot"], [naive(query, gallery, features, never)], groups)
        single = found[f"{name} single-shot"]
        assert (
            abs(single["mean_ap"] - single["mean_inp"]) < 1e-12
        )  # of one match, both are 1 / rank
