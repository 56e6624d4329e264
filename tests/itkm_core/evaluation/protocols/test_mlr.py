"""Cross-resolution: one high-resolution image of each person, or all of them."""

from __future__ import annotations

from naive_protocol import check, make_images, naive, naive_shots, same_camera, summaries


def test_agrees_with_loops() -> None:
    # Camera 2 has both resolutions, and person 0 is a distractor.
    places = [(1, 1, "query"), (1, 2, "query"), (0, 2, "gallery"), (0, 3, "gallery")]
    images, features = make_images(places, persons=range(8), most=5)
    query, gallery = ([each for each in images if each.split == s] for s in ("query", "gallery"))
    people = [each for each in gallery if each.person > 0]
    found = summaries("mlr", images, features)
    assert list(found) == ["single-shot", "multi-shot"]
    drawn = naive_shots(people, 1, lambda image: image.person)
    scores = [naive(query, draw, features, same_camera) for draw in drawn]
    check(found["single-shot"], scores, (1, 0))
    assert (
        len({score["num_skipped"] for score in scores}) > 1
    )  # some draw takes a query's own camera
    check(found["multi-shot"], [naive(query, gallery, features, same_camera)], (1, 0))
