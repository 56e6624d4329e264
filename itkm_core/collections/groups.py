"""Which of a scenario's two homogeneous groups a picture belongs to, decided without labels.

`column`: the collection gives it (a level of its folders or a column of its manifest).
`camera`: the cameras of group 1 are listed (SYSU-MM01: 3 and 6 are infrared).
`resolution`: pictures below a height are group 1; decided when the pictures are read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa

from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import as_number
from itkm_core.corpus.schema import UNKNOWN
from itkm_core.errors import CorpusError

UNDECIDED = -1


SHOWN = 20  # cameras, in an error


def group_by_camera(listing: Listing, cameras: Collection[int | str], source: str) -> Listing:
    """`listing` with group 1 for pictures of `cameras` and group 0 for the others.

    cameras: as the source calls them, its names or its numbers.

    Raises:
        CorpusError: a picture without a camera, or no picture of one of `cameras`.
    """
    seen = listing.rows["camera"].to_numpy()
    if (seen == UNKNOWN).any():
        uri = listing.rows["uri"][int(np.argmax(seen == UNKNOWN))].as_py()
        raise CorpusError(
            f"{source}: groups are decided by camera, but the camera of {uri!r} is unknown; give it as "
            "{camera} in the pattern or as a camera column in the manifest"
        )
    present = set(seen.tolist())
    called: dict[str, int] = {name: number for number, name in listing.camera_names.items()}
    called = called or {str(number): number for number in present}
    numbers = []
    for camera in cameras:
        text = str(camera).strip()
        number = called.get(text, called.get(str(as_number(text))))
        if number is None or number not in present:
            raise CorpusError(
                f"{source}: no picture of camera {camera}, which should be group 1; the cameras are "
                f"{_shown(listing, present)}"
            )
        numbers.append(number)
    return _with_groups(listing, np.isin(seen, numbers).astype(np.int8))


def group_undecided(listing: Listing) -> Listing:
    """`listing` with every group undecided until the pictures' heights are known."""
    return _with_groups(listing, np.full(listing.rows.num_rows, UNDECIDED, dtype=np.int8))


def group_by_height(groups: np.ndarray, heights: np.ndarray, below: np.ndarray | int) -> np.ndarray:
    """int8 [N]: `groups` with the undecided ones set, 1 where a picture is lower than `below` pixels."""
    return np.where(groups == UNDECIDED, heights < below, groups).astype(np.int8)


def _shown(listing: Listing, present: Collection[int]) -> str:
    cameras: list[int | str] = [*sorted(present)]
    if listing.camera_names:  # numbered in their natural order
        cameras = [listing.camera_names[number] for number in sorted(present)]
    more = f" and {len(cameras) - SHOWN} more" if len(cameras) > SHOWN else ""
    return f"{cameras[:SHOWN]}{more}"


def _with_groups(listing: Listing, groups: np.ndarray) -> Listing:
    place = listing.rows.schema.get_field_index("group")
    column = listing.rows.schema.field("group")
    rows = listing.rows.set_column(place, column, pa.array(groups, pa.int8()))
    return replace(listing, rows=rows)
