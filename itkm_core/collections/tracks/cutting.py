"""From a span of frames to crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from itkm_core.collections.tracks import pictures, video
from itkm_core.collections.tracks.crops import cut
from itkm_core.corpus.images import BadImage


@dataclass(frozen=True)
class SpanCrops:
    """The crops of one span of a video or folder.

    size: (width, height) that each frame must have. at: int64 [N], each crop's frame (`Frames.at`), ascending.
    number: int64 [N], the number of that frame. boxes: int32 [N, 4], left, top, right and bottom in pixels. seeks: see
    `Span`. names: of a folder, the picture of each different frame. quality: of the JPEGs.
    """

    path: str
    size: tuple[int, int]
    at: np.ndarray
    number: np.ndarray
    boxes: np.ndarray
    seeks: Sequence[int]
    names: Sequence[str]
    quality: int


def cut_span(span: SpanCrops) -> Iterator[tuple[int, bytes | BadImage]]:
    """(place in `span`, its JPEG or why there is none) of all crops. Holds one frame at a time.

    Raises:
        CorpusError: the video cannot be opened (any more).
    """
    wanted = np.unique(span.at).tolist()
    if span.names:
        frames = pictures.decoded(span.path, wanted, span.names)
    else:
        frames = video.decoded(span.path, wanted, span.seeks)
    missing = np.ones(len(span.at), bool)
    for at, picture in frames:
        rows = range(np.searchsorted(span.at, at), np.searchsorted(span.at, at, side="right"))
        missing[rows.start : rows.stop] = False
        if (picture.width, picture.height) != span.size:
            right = " x ".join(map(str, span.size))
            bad = BadImage(
                "unreadable",
                f"the frame has {picture.width} x {picture.height} pixels, the first {right}",
            )
            yield from ((row, bad) for row in rows)
        else:
            boxes = span.boxes[rows.start : rows.stop].tolist()
            yield from zip(rows, cut(picture, boxes, span.quality), strict=True)
    for row in np.flatnonzero(missing).tolist():
        bad = BadImage("unreadable", f"frame {span.number[row]} of {span.path} cannot be decoded")
        yield row, bad
