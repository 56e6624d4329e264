"""Frames into an MP4 file, by PyAV. [ours]"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from itkm_core.errors import ConfigError
from itkm_core.storage.atomic import replacing


@contextmanager
def film(
    path: str | os.PathLike[str], size: tuple[int, int], fps: int
) -> Iterator[Callable[[np.ndarray], None]]:
    """What adds a frame, uint8 [height, width, 3] RGB, to an H.264 film; the film is there once the block has ended.

    Args:
        path: the file; its folder must exist.
        size: (height, width), both even, in pixels.
        fps: frames a second.

    Raises:
        ConfigError: PyAV is not installed.
        OSError: the file cannot be written.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise ConfigError(
            "video needs PyAV, which is not installed: pip install 'itkm[video]'"
        ) from error
    with replacing(path) as partial, av.open(partial, "w", format="mp4") as container:
        # One thread: with more, the bytes would depend on the machine.
        options = {"preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5 * fps

        def add(picture: np.ndarray) -> None:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

        yield add
        container.mux(stream.encode())
