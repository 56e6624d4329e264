"""Images of one camera at the same moment: as many people as there are images. [ours]"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from itkm_core.errors import LinkError

MAX_AT_ONCE = 2000
"""More images than this in one frame are no boxes of one moment, and their pairs would fill the memory."""

Ints = npt.NDArray[np.int64]


def pairs_of_one_moment(camera: Ints, frame: Ints, block: Ints) -> Ints:
    """All pairs, int64 [P, 2], of images of one block, camera and frame (int64 [N] each); -1 is unknown.

    Raises:
        LinkError: more than MAX_AT_ONCE images with one camera and frame.
    """
    known = np.flatnonzero((camera >= 0) & (frame >= 0))
    keys = np.stack([frame[known], camera[known], block[known]])
    by_key = np.lexsort(keys)  # stable: images of a frame stay in their order
    order, new = known[by_key], (np.diff(keys[:, by_key]) != 0).any(axis=0)
    start = np.concatenate([[0], np.flatnonzero(new) + 1, [len(order)]]).astype(np.int64)
    sizes = np.diff(start)
    if len(order) and sizes.max() > MAX_AT_ONCE:
        at = order[start[np.argmax(sizes)]]
        raise LinkError(
            f"{sizes.max():,} images have frame {frame[at]} of camera {camera[at]}; expected the boxes of one moment, "
            f"at most {MAX_AT_ONCE:,}: leave the frame out where it is not known"
        )
    # Each image with those after it in its frame.
    after = np.repeat(start[1:], sizes) - np.arange(len(order)) - 1
    first = np.repeat(np.arange(len(order)), after)
    step = np.arange(len(first)) - np.repeat(np.cumsum(after) - after, after) + 1
    return np.stack([order[first], order[first + step]], axis=1)
