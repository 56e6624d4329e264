"""Units and cannot-links, against a twin that follows the definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.errors import LinkError
from itkm_core.links import Decisions, Links, tracker_links
from itkm_core.links.moments import MAX_AT_ONCE, pairs_of_one_moment


def naive_links(
    camera: list[int], tracklet: list[int], frame: list[int], decisions: Decisions
) -> tuple[list[int], set[tuple[int, int]], bool]:
    """The unit of each image, the pairs apart, and whether nothing contradicts."""
    num = len(camera)

    def one_tracklet(i: int, j: int) -> bool:
        return tracklet[i] >= 0 and (camera[i], tracklet[i]) == (camera[j], tracklet[j])

    unit = list(range(num))
    pairs = [(i, j) for i, j in combinations(range(num), 2) if one_tracklet(i, j)]
    for i, j in [*pairs, *decisions.same.tolist()]:
        old, new = unit[i], unit[j]
        unit = [new if each == old else each for each in unit]
    order = list(dict.fromkeys(unit))
    unit = [order.index(each) for each in unit]
    moments = [
        (i, j)
        for i, j in combinations(range(num), 2)
        if camera[i] == camera[j] >= 0 and frame[i] == frame[j] >= 0 and not one_tracklet(i, j)
    ]
    two = [(unit[i], unit[j]) for i, j in [*moments, *decisions.different.tolist()]]
    return unit, {(min(p), max(p)) for p in two}, all(a != b for a, b in two)


def pairs_among(num: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    place = st.integers(0, num - 1)
    return st.lists(st.tuples(place, place), max_size=4)


@st.composite
def known(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], Decisions]:
    num = draw(st.integers(1, 14))
    column = st.lists(st.integers(-1, 3), min_size=num, max_size=num)
    same, different = (np.array(draw(pairs_among(num)), np.int64).reshape(-1, 2) for _ in range(2))
    lines = (np.arange(2, 2 + len(each)) for each in (same, different))
    return draw(column), draw(column), draw(column), Decisions(same, different, *lines)


@given(known())
def test_units_and_pairs_are_those_of_the_definition(given_: tuple) -> None:
    unit, apart, consistent = naive_links(*given_)
    if not consistent:
        with pytest.raises(LinkError, match="one of these is wrong"):
            tracker_links(*given_)
        return
    links = tracker_links(*given_)
    assert links.unit_of.tolist() == unit
    assert links.apart.tolist() == sorted(map(list, apart))


@given(known(), st.randoms(use_true_random=False))
def test_rows_in_another_order_are_the_same_links(given_: tuple, random) -> None:
    camera, tracklet, frame, _ = given_
    links = tracker_links(camera, tracklet, frame)
    rows = list(range(len(camera)))
    random.shuffle(rows)
    moved = tracker_links(*(np.array(each)[rows] for each in (camera, tracklet, frame)))
    taken = links.take(np.array(rows))
    assert moved.unit_of.tolist() == taken.unit_of.tolist()
    assert moved.apart.tolist() == taken.apart.tolist()


def test_links_of_some_images_leave_out_the_units_of_the_others() -> None:
    links = Links(np.array([0, 1, 0, 2, 3]), np.array([[0, 1], [0, 3], [2, 3]]))
    some = links.take(np.array([4, 2, 0]))
    assert some.unit_of.tolist() == [0, 1, 1]
    assert some.apart.tolist() == [[0, 1]]


def test_a_contradiction_shows_the_shortest_chain() -> None:
    # 0 and 5 are the same by two chains: 0-1 by the tracklet and 1-5, or 0-2-3-5.
    same = np.array([[0, 2], [2, 3], [3, 5], [1, 5]])
    decisions = Decisions(same, np.array([[5, 0]]), np.arange(2, 6), np.array([6]), "d.csv")
    with pytest.raises(LinkError) as caught:
        tracker_links([7] * 6, [4, 4, -1, -1, -1, -1], [-1] * 6, decisions, name="img{}".format)
    assert str(caught.value) == (
        "img5 and img0 are one person by img5 = img1 (d.csv, line 5), img1 = img0 (tracklet 4 of camera 7), but "
        "d.csv, line 6 says that they are different; one of these is wrong: correct it in the decisions"
    )


def test_a_decision_against_the_tracker_is_a_contradiction() -> None:
    decisions = Decisions(
        np.array([[0, 1]]), np.zeros((0, 2), np.int64), np.array([2]), np.zeros(0, np.int64), "d"
    )
    with pytest.raises(
        LinkError, match=r"0 = 1 \(d, line 2\), but both are in frame 9 of camera 3"
    ):
        tracker_links([3, 3], [1, 2], [9, 9], decisions)


def test_two_boxes_of_a_tracklet_in_one_frame_are_one_person() -> None:
    links = tracker_links([0, 0, 0], [5, 5, 6], [1, 1, 1])
    assert links.unit_of.tolist() == [0, 0, 1]
    assert links.apart.tolist() == [[0, 1]]


def test_a_frame_with_too_many_images_is_no_moment() -> None:
    many = np.zeros(MAX_AT_ONCE + 1, np.int64)
    with pytest.raises(LinkError, match=r"2,001 images have frame 0 of camera 0"):
        pairs_of_one_moment(many, many, many)


def test_nothing_known_is_an_image_a_unit() -> None:
    links = tracker_links([-1, 0, 0], [-1, -1, -1], [0, -1, -1])
    assert links.unit_of.tolist() == [0, 1, 2]
    assert links.apart.shape == (0, 2)
    assert tracker_links([], [], []).num_units == 0


def test_blocks_share_no_camera() -> None:
    links = tracker_links([0] * 4, [1, 1, 1, 2], [5, 6, 5, 5], block=[0, 0, 1, 1])
    assert links.unit_of.tolist() == [0, 0, 1, 2]
    assert links.apart.tolist() == [[1, 2]]
