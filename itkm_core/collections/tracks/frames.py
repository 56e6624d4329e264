"""The frames of a camera, and the spans of them that are decoded one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SPAN_FRAMES = (256, 2048)
"""A span is long enough to be worth a task, and short enough for progress to show."""

_SHARE = 4
"""Of what is left of a video, a span takes a CPU's share divided by this: the last ones are short, and end together."""


@dataclass(frozen=True)
class Frames:
    """The frames of a video or a folder, upright; the first has the number 1.

    path: the video or folder. width, height: in pixels. num: how many there are.
    pts: int64 [num], of a video each frame's time in its own unit, ascending; None where it has none, and frames can
    only be counted from the beginning. keys: int64 [K], the times of keyframes. names: of a folder, its pictures.
    """

    path: str
    width: int
    height: int
    num: int
    pts: np.ndarray | None = None
    keys: np.ndarray | None = None
    names: tuple[str, ...] = ()

    def at(self, number: np.ndarray) -> np.ndarray:
        """int64 [N]: how `video.decoded` and `pictures.decoded` call the frames of these numbers."""
        return number - 1 if self.pts is None else self.pts[number - 1]


class Picture(NamedTuple):
    """A decoded frame, upright: its size in pixels, and part(left, top, right, bottom), uint8 [h, w, 3] RGB, which
    lies inside and is without right and bottom."""

    width: int
    height: int
    part: Callable[[int, int, int, int], np.ndarray]

    @classmethod
    def of(cls, pixels: np.ndarray) -> Picture:
        height, width = pixels.shape[:2]
        return cls(width, height, lambda left, top, right, bottom: pixels[top:bottom, left:right])


class Span(NamedTuple):
    """Some of the frames that are wanted: those from `start` on, up to but without `stop`.

    seeks: times from which a video may be decoded to reach them, the best first; empty: from its beginning.
    """

    start: int
    stop: int
    seeks: tuple[int, ...]


def plan_spans(frames: Frames, wanted: np.ndarray, cpus: int) -> list[Span]:
    """Spans of `wanted` (numbers of frames, ascending), to be decoded side by side on `cpus`.

    A span of a video begins at a keyframe, so that no frame is decoded twice, and none is decoded where nothing is
    wanted. A video without times is one span.
    """
    low, high = SPAN_FRAMES

    def length(left: int) -> int:
        return min(high, max(low, left // (_SHARE * cpus)))

    spans: list[Span] = []
    start = 0
    if frames.pts is None or frames.keys is None:
        while start < len(wanted):
            left = len(wanted) - start
            stop = start + min(left, length(left) if frames.names else left)
            spans.append(Span(start, stop, ()))
            start = stop
        return spans
    begins = np.searchsorted(frames.pts, frames.keys) + 1  # the numbers of the keyframes
    key_of = np.searchsorted(begins, wanted, side="right") - 1
    for place in range(1, len(wanted) + 1):
        if place < len(wanted):
            gap = key_of[place] - key_of[place - 1]
            begin = begins[key_of[start]]
            long = begins[key_of[place]] - begin >= length(frames.num - begin + 1)
            if gap == 0 or (gap == 1 and not long):
                continue
        key = int(key_of[start])
        seeks = tuple(int(frames.keys[k]) for k in (key, key - 1) if k >= 0)
        spans.append(Span(start, place, seeks))
        start = place
    return spans
