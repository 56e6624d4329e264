"""The frames of a folder of pictures, in the natural order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from itkm_core.collections.finding import find_pictures
from itkm_core.collections.numbering import natural_order
from itkm_core.collections.tracks.frames import Frames, Picture
from itkm_core.corpus.images import NO_LIMITS, BadImage, decode_whole, inspect_image
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import join, read_bytes


def folder_frames(path: str) -> Frames:
    """What frames a folder has. Opens the first alone, for its size.

    Raises:
        CorpusError: there are none, or the first cannot be read.
    """
    found = find_pictures(path)
    if found.aside:
        raise CorpusError(
            f"{path}: {found.aside[0].uri!r} cannot be used ({found.aside[0].detail}), and the frames after it would "
            "have other numbers; expected a folder of frames"
        )
    names = tuple(sorted(found.paths, key=natural_order))
    try:
        height, width = inspect_image(read_bytes(join(path, names[0])), NO_LIMITS)
    except (BadImage, OSError) as error:
        raise CorpusError(f"the frame {join(path, names[0])} cannot be read: {error}") from error
    return Frames(path, width, height, len(names), names=names)


def decoded(
    path: str, wanted: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[int, Picture]]:
    """(place, picture) of those of the `wanted` frames that can be decoded. names: of each."""
    for at, name in zip(wanted, names, strict=True):
        try:
            yield at, Picture.of(decode_whole(read_bytes(join(path, name))))
        except (BadImage, OSError):
            continue
