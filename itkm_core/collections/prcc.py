"""PRCC (Yang et al., TPAMI 2021), the colour pictures as its authors publish them.

A person wears the same clothes before cameras A and B and others before camera C, so the camera tells the group. In
rgb/train a folder is a person and a file's first letter the camera; rgb/test has a folder a camera, with people in it.
rgb/val holds out pictures of the training people; public code for the benchmark trains on rgb/train alone.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.shipped import make_rows, pictures_in, read_names

TITLE = "PRCC"
FOLDERS = ("rgb/train", "rgb/test/A", "rgb/test/B", "rgb/test/C")
CAMERAS = {"A": 1, "B": 2, "C": 3}
SPLITS = {"A": "gallery", "B": "query", "C": "query"}

# Python knows no group of one name in two branches.
_PATH = re.compile(
    r"rgb/(?:train(?=/\d+/(?P<first>[ABC]))|test/(?P<folder>[ABC]))/(?P<person>\d+)/[^/]+\.jpg"
)


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """Camera C's pictures in group 1, those of A and B in group 0. clothes: 1 before A and B, 2 before C.

    Raises:
        CorpusError: a folder is missing or empty, or a path has another form.
    """
    shipped = pictures_in(root, FOLDERS, TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "rgb/train/001/A_cropped_rgb001.jpg")
    camera = [
        first or folder for first, folder in zip(names["first"], names["folder"], strict=True)
    ]
    changed = np.array(camera) == "C"
    return make_rows(
        shipped,
        scenario,
        split=[SPLITS[folder] if folder else "train" for folder in names["folder"]],
        person=number_names(names["person"], np.int64, first=1)[0],
        camera=[CAMERAS[letter] for letter in camera],
        clothes=1 + changed,
        group=changed,
    )


COLLECTION = Collection(
    name="prcc",
    title=TITLE,
    owner="Qize Yang, Ancong Wu and Wei-Shi Zheng, Sun Yat-sen University",
    paper="Yang et al., Person Re-identification by Contour Sketch under Moderate Clothing Change, TPAMI 2021",
    licence="no licence found; its authors give it out for research; pictures of people",
    measures="retrieval across three indoor cameras, in the same clothes (A, B) and in other clothes (A, C)",
    layout="""\
rgb/train/001/A_cropped_rgb001.jpg   person 1, camera A (or B, C: the first letter)
rgb/test/A/001/cropped_rgb001.jpg    camera A: the gallery
rgb/test/B/...                       query in the same clothes
rgb/test/C/...                       query in other clothes, group 1
rgb/val/, sketch/                    not read""",
    expected=(
        Count("train", "train", images=17_896, persons=150),
        Count("gallery, camera A", "gallery", persons=71),
        Count("query, camera B", "query", 0, persons=71),
        Count("query, camera C", "query", 1, persons=71),
        Count("all but val", images=28_696, persons=221),
    ),
    sources=(
        "https://www.isee-ai.cn/~yangqize/clothing.html",
        "https://arxiv.org/abs/2002.02295",
        "https://github.com/guxinqian/Simple-CCReID",
        "https://github.com/shuxjweb/pixel_sampling",
        "https://github.com/5n7-sk/prcc-pytorch",
    ),
    read=read,
    protocol="prcc",
    unconfirmed="how the 10,800 test pictures are divided among the cameras; what follows a file name's first letter",
)
