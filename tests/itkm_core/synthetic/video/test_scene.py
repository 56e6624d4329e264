"""A frame: what is drawn lies in its box, and what covers a person counts as cover."""

from __future__ import annotations

import numpy as np
import pytest

from itkm_core.synthetic.light import WORN
from itkm_core.synthetic.pose import Pose, Surface
from itkm_core.synthetic.sample import person_in
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.scene import Scene
from itkm_core.synthetic.video.walks import Stand

CONFIG = VideoConfig(people=6, height=90, seed=2, scenarios=("uvi", "ucr"))
POSE = Pose("side", 0.5, -0.5, 0.0, 1.0, 0.0, 0.0, False)


def scene(scenario: str = "uvi", group: int = 0) -> Scene:
    return Scene(CONFIG, scenario, group, 0)


def drawn(place: Scene, *stands: tuple[int, Stand]) -> np.ndarray:
    who = [person_in(CONFIG.world, "uvi", person, 0) for person, _ in stands]
    return place._arrange(who, [stand for _, stand in stands])[0]


def own(surfaces: np.ndarray, number: int) -> np.ndarray:
    first = Surface.SKIN + WORN * number
    return (surfaces >= first) & (surfaces < first + WORN)


def test_a_box_is_as_tight_as_can_be() -> None:
    for x, depth in ((0.12, 0.0), (0.12, 0.4), (0.8, 0.7), (0.85, 1.0)):
        place, stand = scene(), Stand(x, depth, POSE)
        _, (box,) = place.shoot(0.0, [(0, stand)])
        y, x_pixels = np.nonzero(own(drawn(place, (0, stand)), 0))
        fine = 3  # map pixels to one of a frame 90 high
        assert box is not None
        assert box.visible == 1.0
        assert (box.left, box.top) == pytest.approx((x_pixels.min() / fine, y.min() / fine))
        assert box.left + box.width == pytest.approx((x_pixels.max() + 1) / fine)
        assert box.top + box.height == pytest.approx((y.max() + 1) / fine)
        # A third of the frame when far, two thirds when near, people being 0.88 to 1.04 high.
        assert 0.3 < box.height / 90 / (0.36 + 0.28 * depth) * 0.36 < 0.4


def test_the_nearer_one_covers_the_other_as_far_as_they_overlap() -> None:
    near, far = (1, Stand(0.15, 0.9, POSE)), (0, Stand(0.13, 0.6, POSE))
    for order in ([near, far], [far, near]):
        place = scene()
        _, boxes = place.shoot(0.0, order)
        for k, each in enumerate(order):
            box = boxes[k]
            seen = own(drawn(place, *order), k).sum() / own(drawn(place, each), 0).sum()
            assert box is not None
            assert box.visible == pytest.approx(seen)
            assert (box.visible == 1.0) == (each is near)
            assert each is near or 0.0 < box.visible < 0.8


def test_the_pillar_hides_who_is_behind_it_and_not_who_is_before_it() -> None:
    place = scene()
    middle = (place._pillar.start + place._pillar.stop) / 2 / place._place.shape[1]
    _, (behind, before) = place.shoot(
        0.0, [(0, Stand(middle, 0.3, POSE)), (1, Stand(middle, 0.51, POSE))]
    )
    assert behind is not None
    assert before is not None
    assert behind.visible < 0.7
    assert before.visible == 1.0


def test_at_the_edge_boxes_end_and_beyond_it_there_is_none() -> None:
    place = scene()
    stands = [(0, Stand(x, 0.5, POSE)) for x in (-0.15, 0.0, 1.0, 1.15)]
    _, boxes = place.shoot(0.0, stands)
    assert boxes[0] is None is boxes[3]
    assert boxes[1] is not None
    assert boxes[2] is not None
    assert boxes[1].left == 0.0
    assert boxes[2].left + boxes[2].width == CONFIG.width
    assert all(0.2 < box.visible < 0.8 for box in boxes[1:3] if box)


def test_people_look_like_themselves_and_differ_from_the_place() -> None:
    place, stand = scene(), Stand(0.15, 0.8, POSE)
    empty, _ = place.shoot(0.0, [])
    first, (box,) = place.shoot(0.0, [(0, stand)])
    other, _ = place.shoot(0.0, [(3, stand)])
    assert box is not None
    inside = np.zeros(empty.shape[:2], bool)
    inside[
        int(box.top) : round(box.top + box.height), int(box.left) : round(box.left + box.width)
    ] = True
    difference = np.abs(first.astype(int) - empty).mean(axis=2)
    assert difference[inside].mean() > 3 * difference[~inside].mean()
    assert np.abs(first.astype(int) - other)[inside].mean() > 8


def test_night_has_no_colour_and_the_low_resolution_group_is_small() -> None:
    night, _ = scene("uvi", 1).shoot(0.0, [])
    day, _ = scene("uvi", 0).shoot(0.0, [])
    assert (np.ptp(night, axis=2) == 0).all()
    assert np.ptp(day, axis=2).mean() > 1
    assert night.shape == day.shape == (90, 160, 3)
    low = scene("ucr", 1)
    picture, (box,) = low.shoot(0.0, [(0, Stand(1.0, 0.5, POSE))])
    assert picture.shape[:2] == low.size
    assert all(n % 2 == 0 for n in low.size)
    assert 90 / 4.2 < low.size[0] < 90 / 3
    assert box is not None
    assert box.left + box.width == pytest.approx(low.size[1])


def test_light_moves_slowly() -> None:
    place = scene()
    close = [place._light(t).exposure for t in (3.0, 3.1)]
    assert abs(close[0] - close[1]) < 0.01
    assert np.std([place._light(t).exposure for t in range(60)]) == pytest.approx(0.12, rel=0.3)
