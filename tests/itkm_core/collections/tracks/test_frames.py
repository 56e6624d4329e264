from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.collections.tracks import frames as frames_module
from itkm_core.collections.tracks.frames import Frames, plan_spans


@pytest.fixture(autouse=True)
def _short_spans(monkeypatch) -> None:
    monkeypatch.setattr(frames_module, "SPAN_FRAMES", (8, 16))


def video(num: int, keys: list[int]) -> Frames:
    """A video whose frame n has the time 10 n, with keyframes of these numbers."""
    pts = np.arange(1, num + 1) * 10
    return Frames("v.mp4", 9, 9, num, pts, np.array(keys) * 10)


@given(st.data())
def test_spans_cover_what_is_wanted_and_begin_at_keyframes(data) -> None:
    num = data.draw(st.integers(1, 60))
    keys = sorted({1, *data.draw(st.lists(st.integers(1, num)))})
    wanted = np.array(sorted({*data.draw(st.lists(st.integers(1, num), min_size=1))}))
    spans = plan_spans(video(num, keys), wanted, data.draw(st.integers(1, 4)))
    assert spans[0].start == 0
    assert spans[-1].stop == len(wanted)
    assert all(a.stop == b.start for a, b in itertools.pairwise(spans))
    begun = []
    for span in spans:
        first = wanted[span.start]
        key = max(key for key in keys if key <= first)
        before = [k for k in keys if k < key][-1:]
        assert list(span.seeks) == [10 * key, *(10 * k for k in before)]
        begun.append(key)
        # No run of frames without one that is wanted is decoded.
        of_each = [max(k for k in keys if k <= n) for n in wanted[span.start : span.stop]]
        places = [keys.index(k) for k in of_each]
        assert all(b - a <= 1 for a, b in itertools.pairwise(places))
        assert of_each[-1] - key <= 16 + max(np.diff([*keys, num + 1]))
    assert len(set(begun)) == len(begun)  # and none twice


def test_spans_become_shorter_towards_the_end() -> None:
    spans = plan_spans(video(200, list(range(1, 201, 4))), np.arange(1, 201), 2)
    lengths = [span.stop - span.start for span in spans]
    assert lengths[0] == 16
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] <= 8


def test_what_has_no_times_is_one_span() -> None:
    assert plan_spans(Frames("v", 9, 9, 90), np.array([3, 80]), 4) == [(0, 2, ())]


def test_a_folder_is_split_anywhere() -> None:
    folder = Frames("f", 9, 9, 40, names=tuple(map(str, range(40))))
    spans = plan_spans(folder, np.arange(1, 41), 1)
    assert [(span.start, span.stop) for span in spans] == [
        (0, 10),
        (10, 18),
        (18, 26),
        (26, 34),
        (34, 40),
    ]
    assert folder.at(np.array([1, 40])).tolist() == [0, 39]
    assert video(5, [1]).at(np.array([2, 5])).tolist() == [20, 50]
