from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from made import encoded
from made_video import colour, numbered, walk, walkers, write_video
from PIL import Image

from itkm_core.collections.tracks.cutting import SpanCrops, cut_span
from itkm_core.collections.tracks.frames import plan_spans
from itkm_core.collections.tracks.video import video_frames
from itkm_core.corpus.images import BadImage


def span_of(path: Path, boxes, **changes) -> SpanCrops:
    """All `boxes` (frame, id, left, top, width, height), by frame, as one span of a video of one keyframe."""
    frames = video_frames(str(path))
    number = np.array([box[0] for box in boxes])
    (span,) = plan_spans(frames, np.unique(number), cpus=1)
    edges = np.array([(x, y, x + w, y + h) for _, _, x, y, w, h in boxes])
    size = (frames.width, frames.height)
    made = SpanCrops(str(path), size, frames.at(number), number, edges, span.seeks, (), 95)
    return replace(made, **changes)


def test_each_crop_shows_who_is_in_its_box(tmp_path: Path) -> None:
    boxes = sorted([*walk(1, 3, 9), *walk(2, 5, 8, left=80), *walk(3, 5, 5, left=50, top=70)])
    path = write_video(tmp_path / "v.mp4", walkers(boxes, 10))
    found = dict(cut_span(span_of(path, boxes)))
    assert sorted(found) == list(range(len(boxes)))
    for place, data in found.items():
        assert isinstance(data, bytes)
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (20, 40)
            middle = np.asarray(image)[8:32, 5:15].reshape(-1, 3).mean(axis=0)
        assert np.abs(middle - colour(boxes[place][1])).max() < 12


def test_the_same_span_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(10))
    span = span_of(path, walk(1, 2, 9))
    assert list(cut_span(span)) == list(cut_span(span))
    lower = dict(cut_span(replace(span, quality=30)))
    assert all(len(lower[place]) < len(data) for place, data in cut_span(span))  # type: ignore[arg-type]


def test_a_frame_that_is_missing_or_of_another_size_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(10))
    span = span_of(path, walk(1, 2, 4))
    found = dict(cut_span(replace(span, at=np.array([*span.at[:2], 10**9]))))
    bad = found[2]
    assert isinstance(bad, BadImage)
    assert (bad.reason, bad.detail) == ("unreadable", f"frame 4 of {path} cannot be decoded")
    assert isinstance(found[1], bytes)
    for _, bad in cut_span(replace(span, size=(640, 480))):
        assert isinstance(bad, BadImage)
        assert bad.detail == "the frame has 96 x 64 pixels, the first 640 x 480"


def test_frames_of_a_folder(tmp_path: Path) -> None:
    boxes = [(1, 1, 0, 0, 20, 40), (3, 1, 0, 0, 20, 40), (3, 2, 60, 50, 20, 40)]
    for number, picture in enumerate(walkers(boxes, 3), start=1):
        (tmp_path / f"{number}.png").write_bytes(encoded(picture))
    edges = np.array([(x, y, x + w, y + h) for _, _, x, y, w, h in boxes])
    number = np.array([1, 3, 3])
    names = ("1.png", "3.png")
    span = SpanCrops(str(tmp_path), (160, 120), number - 1, number, edges, (), names, 95)
    for place, data in cut_span(span):
        with Image.open(io.BytesIO(data)) as image:  # type: ignore[arg-type]
            middle = np.asarray(image).reshape(-1, 3).mean(axis=0)
        assert np.abs(middle - colour(boxes[place][1])).max() < 3
