"""Who is where and when: everyone comes by every camera, leaves and comes back, and is in one place at a time."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.walks import NIGHT, _draw_walk, draw_recordings

CONFIG = VideoConfig(people=12, people_test=5, cameras=3, visits=2, crowd=2.0, seed=3)


@pytest.mark.parametrize("group", [0, 1])
def test_everyone_visits_every_camera_as_often_as_asked(group: int) -> None:
    recordings = draw_recordings(CONFIG, "uvi", group)
    assert len(recordings) == 3
    for recording in recordings:
        times = Counter(walk.person for walk in recording.walks)
        assert times == dict.fromkeys(range(12), 2)
        for walk in recording.walks:
            assert walk.entry >= 0
            assert walk.entry + walk.seconds <= recording.num_frames / CONFIG.fps


def test_test_people_come_later_once_to_each_camera() -> None:
    for group in (0, 1):
        recordings = draw_recordings(CONFIG, "uvi", group, test=True)
        assert [recording.split for recording in recordings] == ["query", "gallery", "gallery"]
        for before, recording in zip(
            draw_recordings(CONFIG, "uvi", group), recordings, strict=True
        ):
            assert before.split == "train"
            assert recording.start > before.start + before.num_frames / CONFIG.fps
            times = Counter(walk.person for walk in recording.walks)
            assert times == dict.fromkeys(range(12, 17), 1)
    one = VideoConfig(people=1, people_test=2, cameras=1)
    splits = [draw_recordings(one, "uvi", g, test=True)[0].split for g in (0, 1)]
    assert splits == ["gallery", "query"]


def test_test_people_leave_the_others_as_they_are() -> None:
    more = CONFIG.model_copy(update={"people_test": 9})
    assert draw_recordings(more, "uvi", 1) == draw_recordings(CONFIG, "uvi", 1)


def test_nobody_is_in_two_places_at_once() -> None:
    for group in (0, 1):
        spans: dict[int, list[tuple[float, float]]] = {}
        for recording in draw_recordings(CONFIG, "uvi", group):
            assert NIGHT * group <= recording.start < NIGHT * group + 10
            for walk in recording.walks:
                begin = recording.start + walk.entry
                spans.setdefault(walk.person, []).append((begin, begin + walk.seconds))
        for mine in spans.values():
            mine.sort()
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(mine))


def test_the_crowd_is_about_as_asked() -> None:
    config = VideoConfig(people=60, cameras=2, crowd=6.0)
    for recording in draw_recordings(config, "ucc", 0):
        inside = sum(walk.seconds for walk in recording.walks)
        assert 4.5 < inside / (recording.num_frames / config.fps) < 7.5


def test_a_walk_goes_from_edge_to_edge_in_small_steps_and_in_bounded_time() -> None:
    rng = np.random.default_rng(0)
    views = Counter()
    for _ in range(300):
        walk = _draw_walk(rng, 0)
        assert 2.0 < walk.seconds <= 15.0
        assert walk.at(-0.01) is None
        assert walk.at(walk.seconds + 0.01) is None
        steps = [walk.at(t) for t in np.arange(0.0, walk.seconds, 0.1)]
        stands = [step for step in steps if step is not None]
        assert len(stands) == len(steps)
        x, depth = np.array([(s.x, s.depth) for s in stands]).T
        assert abs(x[0] - 0.5) > 0.6 < abs(x[-1] - 0.5)
        assert depth.min() >= 0.0
        assert depth.max() <= 1.0
        assert np.abs(np.diff(x)).max() < 0.04
        assert np.abs(np.diff(depth)).max() < 0.04
        for before, after in itertools.pairwise(stands):
            view, mirrored = before.pose.view, before.pose.mirrored
            if (view, mirrored) == (after.pose.view, after.pose.mirrored):  # no corner between them
                if view == "side":
                    assert mirrored == (after.x < before.x)
                else:
                    assert (view == "front") == (after.depth > before.depth)
        views.update({stand.pose.view for stand in stands})
    assert min(views[name] for name in ("front", "back", "side")) > 50


def test_seeds_scenarios_and_groups_walk_differently_and_a_seed_the_same() -> None:
    def entries(**changes: object) -> list[float]:
        config = CONFIG.model_copy(update=changes)
        return [w.entry for r in draw_recordings(config, "uvi", 0) for w in r.walks]

    assert entries() == entries()
    assert entries() != entries(seed=4)
    other = [draw_recordings(CONFIG, *key)[0].walks for key in (("uvi", 1), ("ucc", 0))]
    assert other[0] != other[1] != draw_recordings(CONFIG, "uvi", 0)[0].walks
