"""VC-Clothes (Wan et al., CVPR Workshops 2020): people of a video game, as its authors publish them.

Names such as 0001-03-02-05.jpg: person 1, camera 3, their outfit 2, picture 5. Public code compares cameras 2 and 3 for
the same clothes and cameras 3 and 4 for other clothes. That says nothing of camera 1, so there is one observed group;
who wants camera 4 as the other one says so with --by camera --cameras 4.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.shipped import make_rows, pictures_in, read_names

TITLE = "VC-Clothes"
FOLDERS = ("train", "query", "gallery")

_PATH = re.compile(
    r"(?P<folder>train|query|gallery)/(?P<person>\d+)-(?P<camera>\d+)-(?P<clothes>\d+)-\d+\.jpg"
)


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """The pictures of train, query and gallery, all in group 0. clothes: a person's outfits by their numbers.

    Raises:
        CorpusError: a folder is missing or empty, or a file name has another form.
    """
    shipped = pictures_in(root, FOLDERS, TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "train/0001-03-02-05.jpg")
    return make_rows(
        shipped,
        scenario,
        split=names["folder"],
        person=number_names(names["person"], np.int64, first=1)[0],
        camera=np.array(names["camera"], np.int32),
        clothes=np.array(names["clothes"], np.int64),
    )


COLLECTION = Collection(
    name="vc-clothes",
    title=TITLE,
    owner="Fangbin Wan and co-authors, Fudan University and Kyoto University",
    paper="Wan et al., When Person Re-identification Meets Changing Clothes, CVPR Workshops 2020",
    licence="no licence found; given out for research by its authors; computer graphics, no real people",
    measures="retrieval across four cameras of a game, in the same clothes (2, 3) and in other clothes (3, 4)",
    layout="""\
train/0001-03-02-05.jpg   person 1, camera 3, their outfit 2, picture 5
query/...                 as train
gallery/...""",
    expected=(
        Count("train", "train", images=9_449, persons=256),
        Count("query", "query", images=1_020),
        Count("gallery", "gallery", images=8_591),
        Count("all", images=19_060, persons=512),
    ),
    sources=(
        "https://wanfb.github.io/dataset.html",
        "https://github.com/xiangzhouzhang/Clothes_Change_Person_ReID",
        "https://github.com/guxinqian/Simple-CCReID",
    ),
    read=read,
    protocol="vc-clothes",
    unconfirmed="how many digits the names have; any number is read",
)
