"""Which of a scenario's two homogeneous groups a picture belongs to, decided without labels.

`column`: the collection gives it (a level of its folders or a column of its manifest).
`camera`: the cameras of group 1 are listed (SYSU-MM01: 3 and 6 are infrared).
`resolution`: pictures below a height are group 1; decided when the pictures are read.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from itkm_core.corpus.schema import UNKNOWN
from itkm_core.errors import CorpusError

UNDECIDED = -1


def group_by_camera(listing: pa.Table, cameras: Collection[int], source: str) -> pa.Table:
    """`listing` with group 1 for pictures of `cameras` and group 0 for the others.

    Raises:
        CorpusError: a picture without a camera, or no picture of one of `cameras`.
    """
    seen = listing["camera"].to_numpy()
    if (seen == UNKNOWN).any():
        uri = listing["uri"][int(np.argmax(seen == UNKNOWN))].as_py()
        raise CorpusError(
            f"{source}: groups are decided by camera, but the camera of {uri!r} is unknown; give it as "
            "{camera} in the pattern or as a camera column in the manifest"
        )
    absent = sorted(set(cameras) - set(seen.tolist()))
    if absent:
        raise CorpusError(
            f"{source}: no picture of camera {absent[0]}, which should be group 1; the cameras are "
            f"{sorted(set(seen.tolist()))}"
        )
    return _with_groups(listing, np.isin(seen, list(cameras)).astype(np.int8))


def group_undecided(listing: pa.Table) -> pa.Table:
    """`listing` with every group undecided until the pictures' heights are known."""
    return _with_groups(listing, np.full(listing.num_rows, UNDECIDED, dtype=np.int8))


def group_by_height(groups: np.ndarray, heights: np.ndarray, below: np.ndarray | int) -> np.ndarray:
    """int8 [N]: `groups` with the undecided ones set, 1 where a picture is lower than `below` pixels."""
    return np.where(groups == UNDECIDED, heights < below, groups).astype(np.int8)


def _with_groups(listing: pa.Table, groups: np.ndarray) -> pa.Table:
    place = listing.schema.get_field_index("group")
    return listing.set_column(place, listing.schema.field("group"), pa.array(groups, pa.int8()))
