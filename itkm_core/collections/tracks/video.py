"""The frames of a video, by PyAV: what there are, and those that are asked for.

A frame's number is its place in the order in which a player shows them, from 1, as trackers count. The distance between
frames does not matter, so it may vary. Frames that a player drops are not counted: those before the first
keyframe, and those that an edit list leaves out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from pyarrow import fs

from itkm_core.collections.tracks.frames import Frames, Picture
from itkm_core.errors import ConfigError, CorpusError
from itkm_core.storage.paths import resolve

if TYPE_CHECKING:
    import av

_PLANAR = ("yuv420p", "yuvj420p")
_OUT_OF_ORDER = 32
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")
"""Files that name other files, or addresses, to read."""


def pyav() -> Any:
    """The module av.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "videos need PyAV, which is not installed: pip install 'itkm[video]'; or give a folder of frames"
        ) from error
    return av


def video_frames(path: str) -> Frames:
    """What frames a video has. Reads all of the file, and decodes its first frame.

    Raises:
        ConfigError: PyAV is not installed.
        CorpusError: there is no such file, or no video can be read from it.
    """
    av = pyav()
    times: list[int | None] = []
    keys: list[int | None] = []
    try:
        with opened(path) as (container, stream):
            first = next(container.decode(stream), None)
            if first is None:
                raise _no_video(path, "no frame of it can be decoded")
            turned = first.rotation % 180 != 0
            width, height = first.width, first.height
        with opened(path) as (container, stream), contextlib.suppress(av.error.InvalidDataError):
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard and (keys or packet.is_keyframe):
                    times.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
    except (av.error.FFmpegError, EOFError) as error:
        raise _no_video(path, _said(error)) from error
    if turned:
        width, height = height, width
    if None in times or len(set(times)) < len(times):
        return Frames(path, width, height, len(times))
    pts = np.sort(np.array(times, np.int64))
    key = np.sort(np.array(keys, np.int64))
    pts = pts[pts >= key[0]]
    return Frames(path, width, height, len(pts), pts, key)


def decoded(
    path: str, wanted: Sequence[int], seeks: Sequence[int]
) -> Iterator[tuple[int, Picture]]:
    """(time, picture) of those of the `wanted` frames that can be decoded.

    wanted: ascending times (`Frames.pts`) from one keyframe on, or, where `seeks` is empty, places from 0.
    seeks: times to begin at, tried in turn until one leads to the first wanted frame or before it; then the beginning.

    Raises:
        CorpusError: the video cannot be opened (any more).
    """
    av = pyav()
    try:
        for seek in [*seeks, None]:
            with opened(path) as (container, stream):
                stream.codec_context.thread_count = 1  # other spans have the other CPUs
                if seek is not None:
                    container.seek(seek, stream=stream)
                if not seeks:
                    yield from _picked(enumerate(_frames(container, stream, av, None)), wanted)
                    return
                frames = _frames(container, stream, av, set(wanted))
                timed = ((frame.pts, frame) for frame in frames if frame.pts is not None)
                first = next(timed, None)
                if first is not None and (first[0] <= wanted[0] or seek is None):
                    yield from _picked(chain([first], timed), wanted)
                    return
    except (av.error.FFmpegError, EOFError) as error:
        raise _no_video(path, _said(error)) from error


def _frames(
    container: Any, stream: Any, av: Any, wanted: set[int] | None
) -> Iterator[av.VideoFrame]:
    """What can be decoded; a damaged packet costs its frames alone. Frames that are not `wanted`, and that no other
    needs, are passed over, which saves up to half of the work."""
    packets, decoder = container.demux(stream), stream.codec_context
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:
            packet = None
        if wanted is not None and packet is not None:
            decoder.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        with contextlib.suppress(av.error.InvalidDataError, EOFError):
            yield from decoder.decode(packet)
        if packet is None or not packet.size:
            return


def _picked(
    frames: Iterable[tuple[int, Any]], wanted: Sequence[int]
) -> Iterator[tuple[int, Picture]]:
    waiting, beyond = set(wanted), 0
    for at, frame in frames:
        if at in waiting:
            waiting.remove(at)
            if not frame.is_corrupt:
                yield at, _picture(frame)
        beyond += at > wanted[-1]
        # Where frames are passed over, a decoder may not know the order of those that are left.
        if not waiting or beyond > _OUT_OF_ORDER:
            return


def _picture(frame: av.VideoFrame) -> Picture:
    turns = round(frame.rotation / 90) % 4
    width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    whole: list[np.ndarray] = []
    # Of an odd size, or another format, colours are not shared by two pixels by two alone.
    apart = not turns and frame.format.name in _PLANAR and not frame.width % 2 | frame.height % 2

    def part(left: int, top: int, right: int, bottom: int) -> np.ndarray:
        if apart:
            return _converted(frame, left, top, right, bottom)
        if not whole:
            whole.append(np.rot90(frame.to_ndarray(format="rgb24", threads=1), turns))
        return whole[0][top:bottom, left:right]

    return Picture(width, height, part)


def _converted(frame: av.VideoFrame, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A part of a frame as RGB, the same pixels as of the whole: to convert all of it takes as long as to decode it."""
    x, y = left & ~1, top & ~1  # two pixels by two share a colour
    part = pyav().VideoFrame(-(-(right - x) // 2) * 2, -(-(bottom - y) // 2) * 2, frame.format.name)
    for number, (given, taken) in enumerate(zip(frame.planes, part.planes, strict=True)):
        step = 1 if number == 0 else 2
        pixels = np.frombuffer(given, np.uint8).reshape(-1, given.line_size)
        out = np.frombuffer(taken, np.uint8).reshape(-1, taken.line_size)
        pixels = pixels[y // step : y // step + taken.height, x // step : x // step + taken.width]
        out[: pixels.shape[0], : pixels.shape[1]] = pixels
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    rgb: np.ndarray = part.to_ndarray(format="rgb24", threads=1)
    return rgb[top - y : bottom - y, left - x : right - x]


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[Any, Any]]:
    """(container, its first video stream). Nothing but this one file is read, whatever is in it."""
    av = pyav()
    filesystem, inner = resolve(path)
    local = isinstance(filesystem, fs.LocalFileSystem)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(filesystem.open_input_file(inner))
        except FileNotFoundError as error:
            raise CorpusError(f"there is no video {path}") from error
        except OSError as error:
            raise CorpusError(f"cannot read the video {path}: {error}") from error
        if not file.size():
            raise _no_video(path, "it is empty")
        if file.read(16).lstrip().startswith(_PLAYLISTS):
            raise _no_video(path, "it is a list of other files")
        file.seek(0)
        container = stack.enter_context(
            av.open(
                inner if local else file,
                metadata_errors="replace",
                container_options={"protocol_whitelist": "file"},
            )
        )
        if not container.streams.video:
            raise _no_video(path, "there are no pictures in it")
        yield container, container.streams.video[0]


def _said(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _no_video(path: str, why: str) -> CorpusError:
    return CorpusError(
        f"no video can be read from {path}: {why}; expected a whole video file, or a folder of frames"
    )
