"""MLR-CUHK03: CUHK03 with one camera of each pair brought down by 2, 3 or 4. See mlr.py for the re-packing."""

from __future__ import annotations

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.mlr import SOURCES, read_mlr

TITLE = "MLR-CUHK03"


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """See `read_mlr`."""
    return read_mlr(
        root, scenario, TITLE, "bounding_box_train/0020_c1_00000.jpg", distractors=False
    )


COLLECTION = Collection(
    name="mlr-cuhk03",
    title=TITLE,
    owner="Jiening Jiao, Wei-Shi Zheng and co-authors, Sun Yat-sen University; of CUHK03, the Chinese University of "
    "Hong Kong",
    paper="Jiao et al., Deep Low-Resolution Person Re-Identification, AAAI 2018",
    licence="CUHK03's: academic research only, by request to its authors; pictures of people",
    measures="retrieval of high-resolution pictures by low-resolution ones of another camera",
    layout="""\
bounding_box_train/0020_c1_00000.jpg   person 20, camera 1
query/...                              the low-resolution camera alone; it is that of bounding_box_train/ too
bounding_box_test/...                  the high-resolution camera""",
    expected=(
        Count("train", "train", persons=1_367),
        Count("all", persons=1_467),
    ),
    sources=SOURCES,
    read=read,
    protocol="mlr",
    unconfirmed="how many pictures each folder has; re-packings were drawn at random and differ",
)
