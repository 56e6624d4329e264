"""The tracker: one id a walk without noise; with noise ids that end early and ids that hold two people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.synthetic.video.tracker import SEEN, Boxes, meetings, track


def crossing(pairs: int = 1, frames: int = 40) -> Boxes:
    """Pairs of people who walk through each other; no two pairs are in view together."""
    rows = []
    for pair in range(pairs):
        for who in (0, 1):
            for k in range(frames):
                x = 3.0 * (k - frames / 2) * (1 - 2 * who) + 100
                seen = 1.0 - 0.5 * (who == 0 and abs(k - frames / 2) < 2)
                walk = 2 * pair + who
                rows.append((pair * frames + k, walk, 7 + walk, (x, 10.0, 20.0, 60.0), seen))
    rows.sort(key=lambda row: row[:2])
    return Boxes(*(np.array(column) for column in zip(*rows, strict=True)))


def persons(found: Boxes, ids: np.ndarray) -> dict[int, set[int]]:
    return {int(i): set(found.person[ids == i].tolist()) for i in np.unique(ids)}


def test_without_noise_an_id_is_a_walk_numbered_by_its_first_frame() -> None:
    boxes = crossing(3)
    found, ids = track(boxes, 0.0, np.random.default_rng(0))
    assert np.array_equal(found.frame, boxes.frame)
    assert ids.tolist() == (boxes.walk + 1).tolist()


def test_who_is_hardly_seen_is_not_found() -> None:
    boxes = crossing()
    hidden = boxes.visible.copy()
    hidden[10:20] = SEEN - 0.01
    found, ids = track(
        Boxes(boxes.frame, boxes.walk, boxes.person, boxes.box, hidden), 0, np.random.default_rng(0)
    )
    assert len(found.frame) == len(ids) == len(boxes.frame) - 10
    assert (found.visible >= SEEN).all()


def test_at_full_noise_every_track_breaks_and_every_meeting_is_mistaken() -> None:
    boxes = crossing(4)
    found, ids = track(boxes, 1.0, np.random.default_rng(0))
    assert len(np.unique(ids)) == 16  # 8 walks, each broken once
    who = persons(found, ids)
    assert sum(len(people) == 2 for people in who.values()) >= 4
    # A walk breaks where it is hidden, if it is.
    for walk in (0, 2, 4, 6):
        mine = np.flatnonzero(found.walk == walk)
        changes = np.flatnonzero(np.diff(ids[mine]))
        assert any(found.visible[mine[k + 1]] < 1.0 for k in changes)


def test_a_mistake_exchanges_the_rest_of_two_tracks() -> None:
    boxes = crossing()
    seeds = [track(boxes, 0.5, np.random.default_rng(seed))[1] for seed in range(60)]
    swaps = [ids for ids in seeds if len(np.unique(ids)) == 2 and (np.diff(ids[::2]) != 0).any()]
    assert swaps  # a swap, and no break
    for ids in swaps:
        after = boxes.frame > 20  # they overlap most at frame 20
        assert ids[~after].tolist() == (boxes.walk + 1)[~after].tolist()
        assert ids[after].tolist() == (2 - boxes.walk)[after].tolist()


@pytest.mark.parametrize("noise", [0.2, 0.7])
def test_noise_is_the_share_of_tracks_and_of_meetings(noise: float) -> None:
    boxes = crossing(200, frames=20)
    found, ids = track(boxes, noise, np.random.default_rng(1))
    assert abs(len(np.unique(ids)) - 400 - 400 * noise) < 40
    both = [people for people in persons(found, ids).values() if len(people) == 2]
    assert abs(len({min(people) for people in both}) - 200 * noise) < 30


@given(noise=st.floats(0.0, 1.0), seed=st.integers(0, 50))
def test_no_id_is_twice_in_a_frame_and_a_seed_repeats(noise: float, seed: int) -> None:
    boxes = crossing(3, frames=14)
    found, ids = track(boxes, noise, np.random.default_rng(seed))
    assert len(set(zip(found.frame.tolist(), ids.tolist(), strict=True))) == len(ids)
    assert ids.min() == 1
    again = track(boxes, noise, np.random.default_rng(seed))[1]
    assert np.array_equal(ids, again)


def test_only_boxes_that_overlap_in_the_middle_of_two_tracks_meet() -> None:
    boxes = crossing()
    rows = [np.flatnonzero(boxes.walk == walk) for walk in (0, 1)]
    assert meetings(boxes, rows) == [(21, 0, 1)]
    assert meetings(boxes, [rows[0], rows[1][:22]]) == []  # the second one ends right there
    apart = boxes.box.copy()
    apart[boxes.walk == 1, 1] += 200.0
    other = Boxes(boxes.frame, boxes.walk, boxes.person, apart, boxes.visible)
    assert meetings(other, rows) == []
