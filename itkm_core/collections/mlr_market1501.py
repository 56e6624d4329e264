"""MLR-Market1501: Market-1501 with one camera brought down by 2, 3 or 4. See mlr.py for the re-packing.

Queries are the low-resolution camera's pictures out of Market-1501's query/ and bounding_box_test/ together.
"""

from __future__ import annotations

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.mlr import SOURCES, read_mlr

TITLE = "MLR-Market1501"


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """See `read_mlr`. Person 0 is a distractor and -1 junk, as in Market-1501."""
    return read_mlr(
        root, scenario, TITLE, "bounding_box_train/0002_c1s1_000451_03.jpg", distractors=True
    )


COLLECTION = Collection(
    name="mlr-market1501",
    title=TITLE,
    owner="users of Market-1501, each for themselves; of Market-1501, Liang Zheng and co-authors, Tsinghua University",
    paper="made as in Jiao et al., Deep Low-Resolution Person Re-Identification, AAAI 2018",
    licence="Market-1501's: research only, as its authors ask; pictures of people who were not asked",
    measures="retrieval of high-resolution pictures by low-resolution ones of another camera",
    layout="""\
bounding_box_train/0002_c1s1_000451_03.jpg   named as in Market-1501
query/...                                    the low-resolution camera alone; it is that of bounding_box_train/ too
bounding_box_test/...                        the other cameras, in high resolution""",
    expected=(Count("train", "train", images=12_936, persons=751),),
    sources=SOURCES,
    read=read,
    protocol="mlr",
    unconfirmed="how many pictures query and bounding_box_test have; it depends on the camera, and re-packings differ",
)
