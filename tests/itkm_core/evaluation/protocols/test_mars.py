"""MARS: tracklets by the mean of their images, with the queries in the gallery and without."""

from __future__ import annotations

import numpy as np
from naive_protocol import Image, check, make_images, naive, same_camera, summaries


def test_agrees_with_loops() -> None:
    places = [(0, camera, "query" if camera == 1 else "gallery") for camera in (1, 2, 3)]
    places += [(0, 4, "query")]
    images, features = make_images(places, persons=range(-1, 7), most=6, few=2)
    # Some images are of no tracklet, and one person has tracklets by the queries' cameras alone.
    lost = [each.row % 17 == 0 or (each.person, each.split) == (6, "gallery") for each in images]
    images = [
        each._replace(tracklet=-1) if no else each for each, no in zip(images, lost, strict=True)
    ]
    features[:, 0] = 1  # no mean is zero, nor a cosine, where ties would hang on the last bit
    tracks: dict[tuple[int, int], list[Image]] = {}
    for each in images:
        if each.tracklet >= 0:
            tracks.setdefault((each.camera, each.tracklet), []).append(each)
    means = features.astype(np.float64)
    firsts = [of_one[0] for of_one in tracks.values()]
    for first, of_one in zip(firsts, tracks.values(), strict=True):
        means[first.row] = sum(features[each.row].astype(np.float64) for each in of_one) / len(
            of_one
        )
    query, gallery = (
        [each for each in sorted(firsts) if each.split == s] for s in ("query", "gallery")
    )
    found = summaries("mars", images, features)
    assert list(found) == ["tracklets", "tracklets, queries not in the gallery"]
    check(found["tracklets"], [naive(query, sorted(firsts), means, same_camera)], (0, 0))
    apart = naive(query, gallery, means, same_camera)
    check(found["tracklets, queries not in the gallery"], [apart], (0, 0))
    assert apart["num_skipped"] > found["tracklets"]["num_skipped"]
