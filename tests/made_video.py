"""Made-up videos, and what a tracker would write of them. `pythonpath` lets every test import this file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from itkm_core.collections.tracks.frames import Picture

Box = tuple[int, int, int, int, int, int]
"""frame, id, left, top, width, height."""


def write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    gop: int = 12,
    pixels: str = "yuv420p",
    rotation: float = 0,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video of RGB pictures, uint8 [height, width, 3]. times: of each, in 1/25 s; rotation: how players turn it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.pix_fmt, stream.codec_context.gop_size = pixels, gop
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = times[number] if times is not None else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbered(num: int, height: int = 64, width: int = 96) -> list[NDArray[np.uint8]]:
    """Pictures of one grey each, which tells their number: picture n has the grey 3 n. The upper left is red."""
    pictures = []
    for number in range(1, num + 1):
        picture = np.full((height, width, 3), 3 * number, np.uint8)
        picture[: height // 4, : width // 4] = (255, 0, 0)
        pictures.append(picture)
    return pictures


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number of a picture of `numbered`, from its lower right, whatever a codec did to it."""
    height, width = pixels.shape[:2]
    return round(float(pixels[height * 3 // 4 :, width * 3 // 4 :].mean()) / 3)


def whole(picture: Picture) -> NDArray[np.uint8]:
    return picture.part(0, 0, picture.width, picture.height)


def walkers(boxes: Sequence[Box], num: int, height: int = 120, width: int = 160) -> Any:
    """Pictures with a person of one colour in each box: person i has the colour `colour(i)`."""
    for number in range(1, num + 1):
        picture = np.full((height, width, 3), 40, np.uint8)
        for frame, person, left, top, wide, high in boxes:
            if frame == number:
                picture[max(0, top) : top + high, max(0, left) : left + wide] = colour(person)
        yield picture


def colour(person: int) -> tuple[int, int, int]:
    return (40 * person % 200 + 50, 250 - 30 * person % 200, 90 * person % 220)


def write_tracks(path: Path, boxes: Sequence[Sequence[float]], *, conf: float = 0.9) -> Path:
    """MOTChallenge text."""
    lines = [",".join(map(str, [*box, conf, -1, -1, -1])) for box in boxes]
    path.write_text("\n".join(lines) + "\n")
    return path


def walk(person: int, first: int, last: int, left: int = 10, top: int = 20) -> list[Box]:
    """One box a frame, 20 x 40 pixels, a pixel to the right with each."""
    return [(f, person, left + f - first, top, 20, 40) for f in range(first, last + 1)]
