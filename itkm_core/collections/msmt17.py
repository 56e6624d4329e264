"""MSMT17 (Wei et al., CVPR 2018) as its authors publish it: version 1, and version 2, whose faces are blurred.

Paths such as 0000/0000_008_01_0303morning_0019_2.jpg: person 0, camera 1. Each half numbers its people from 0, and they
are different people. Here they count from 1, as 0 is a distractor, and those of the test half follow on.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import make_rows, read_names
from itkm_core.collections.split_files import Part, listed_pictures
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join

TITLE = "MSMT17"
FOLDERS = {"v2": ("mask_train_v2", "mask_test_v2"), "v1": ("train", "test")}
TRAIN_PEOPLE = 1041

_PATH = re.compile(r"\w+/\d{4}/(?P<person>\d{4})_\d+_(?P<camera>\d{2})_[^/]+")


def read(root: str, scenario: str, variant: str) -> Listing:
    """The listed pictures of a version; training and validation pictures, of the same people, are `train`.

    Raises:
        CorpusError: a folder, a list or a listed picture is missing, or a path has another form.
    """
    folders = FOLDERS[variant]
    for other, theirs in FOLDERS.items():
        if not exists(join(root, folders[0])) and exists(join(root, theirs[0])):
            raise CorpusError(
                f"{root} has {theirs[0]} and no {folders[0]}, so it is {TITLE} {other}, not {variant}; expected one of "
                f"them: say --variant {other}"
            )
    shipped, parts = listed_pictures(root, lists_of(*folders), folders, TITLE, scenario)
    example = f"{folders[0]}/0000/0000_045_12_0303morning_0006_2.jpg"
    names = read_names(shipped.uris, _PATH, TITLE, example)
    splits = np.array([part.split for part in parts])
    return make_rows(
        shipped,
        scenario,
        split=splits.tolist(),
        person=1 + np.array(names["person"], np.int64) + TRAIN_PEOPLE * (splits != "train"),
        camera=np.array(names["camera"], np.int32),
    )


def lists_of(train: str, test: str) -> dict[str, Part]:
    """The four lists, whose paths are relative to the folders of the two halves."""
    return {
        "list_train.txt": Part("train", folder=f"{train}/"),
        "list_val.txt": Part("train", folder=f"{train}/"),
        "list_query.txt": Part("query", folder=f"{test}/"),
        "list_gallery.txt": Part("gallery", folder=f"{test}/"),
    }


COLLECTION = Collection(
    name="msmt17",
    title=TITLE,
    owner="Longhui Wei, Shiliang Zhang and co-authors, Peking University",
    paper="Wei et al., Person Transfer GAN to Bridge Domain Gap for Person Re-Identification, CVPR 2018",
    licence="from its authors, on request; their page of its terms is no longer there",
    measures="retrieval across fifteen cameras, indoors and outdoors, over days and hours",
    layout="""\
mask_train_v2/0000/0000_045_12_0303morning_0006_2.jpg   person 0, camera 12; in version 1 the folder is train
mask_test_v2/0000/0000_008_01_0303morning_0019_2.jpg   in version 1 the folder is test
list_train.txt, list_val.txt, list_query.txt, list_gallery.txt   a path and a number a line""",
    expected=(
        Count("train", "train", images=32_621, persons=TRAIN_PEOPLE),
        Count("query", "query", images=11_659, persons=3_060),
        Count("gallery", "gallery", images=82_161, persons=3_060),
    ),
    sources=(
        "https://arxiv.org/abs/1711.08565",
        "https://github.com/yxgeee/SpCL/issues/16",
        "https://github.com/KaiyangZhou/deep-person-reid",
    ),
    read=read,
    protocol="market1501",
    variants=tuple(FOLDERS),
)
