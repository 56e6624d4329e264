"""LLCM (Zhang and Wang, CVPR 2023) as its authors publish it.

Paths such as nir/0351/0351_c06_s200656_f4830_nir.jpg: person 351, camera 6, in near infrared (group 1). The nine
cameras have the same numbers in both kinds of light. test_vis and test_nir, where the archive has them, hold the test
pictures once more, in folders by camera: they are not read.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import make_rows, read_names
from itkm_core.collections.split_files import Part, listed_pictures

TITLE = "LLCM"
LISTS = {
    "idx/train_vis.txt": Part("train", 0),
    "idx/train_nir.txt": Part("train", 1),
    "idx/test_vis.txt": Part("gallery", 0),
    "idx/test_nir.txt": Part("query", 1),
}

_PATH = re.compile(r"(?:vis|nir)/\d+/(?P<person>\d+)_c(?P<camera>\d+)_[^/]+")


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """The listed pictures; of test people, near infrared is `query` and visible `gallery`.

    Raises:
        CorpusError: a folder, a list or a listed picture is missing, or a path has another form.
    """
    shipped, parts = listed_pictures(root, LISTS, ["vis", "nir"], TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "nir/0351/0351_c06_s200656_f4830_nir.jpg")
    return make_rows(
        shipped,
        scenario,
        split=[part.split for part in parts],
        person=np.array(names["person"], np.int64),
        camera=np.array(names["camera"], np.int32),
        group=[part.group for part in parts],
    )


COLLECTION = Collection(
    name="llcm",
    title=TITLE,
    owner="Yukang Zhang and Hanzi Wang, Xiamen University",
    paper="Zhang and Wang, Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for "
    "Visible-Infrared Person Re-identification, CVPR 2023",
    licence="by a release agreement that you sign and send to the authors",
    measures="retrieval between visible and near-infrared pictures in low light, both ways",
    layout="""\
vis/0001/..., nir/0351/0351_c06_s200656_f4830_nir.jpg   person 351, camera 6
idx/train_vis.txt, idx/train_nir.txt, idx/test_vis.txt, idx/test_nir.txt   a path and a number a line""",
    expected=(
        Count("visible train", "train", 0, images=16_946, persons=713),
        Count("near-infrared train", "train", 1, images=13_975, persons=713),
        Count("near-infrared test", "query", 1, images=7_166, persons=351),
        Count("visible test", "gallery", 0, images=8_680, persons=351),
    ),
    sources=(
        "https://github.com/ZYK100/LLCM",
        "https://arxiv.org/abs/2303.14481",
        "https://github.com/SWU-CS-MediaLab/PP-IPG",
    ),
    read=read,
    protocol="llcm",
    unconfirmed="the paper also gives 13,909 test pictures, which is not the sum of its 7,166 and 8,680 (its total of "
    "46,767 agrees with the sum); it does not say that everybody was seen in both kinds of light",
)
