"""LTCC (Qian et al., ACCV 2020) as its authors publish it.

Names such as 094_1_c9_015923.png: person 94, their outfit 1, camera 9, frame 15923. Nothing but labels says which
outfit is the original one, so there is one observed group. Recordings go over many days, and whether their frames are
counted on is not published, so frame numbers are not taken for moments of a camera.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.shipped import make_rows, pictures_in, read_names

TITLE = "LTCC"
FOLDERS = {"train": "train", "query": "query", "test": "gallery"}

_PATH = re.compile(
    r"(?P<folder>train|query|test)/(?P<person>\d+)_(?P<clothes>\d+)_c(?P<camera>\d+)_\d+\.png"
)


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """The pictures of train, query and test (gallery), all in group 0. clothes: a person's outfits from 1 on.

    Raises:
        CorpusError: a folder is missing or empty, or a file name has another form.
    """
    shipped = pictures_in(root, list(FOLDERS), TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "train/094_1_c9_015923.png")
    return make_rows(
        shipped,
        scenario,
        split=[FOLDERS[folder] for folder in names["folder"]],
        person=number_names(names["person"], np.int64, first=1)[0],  # theirs begin at 0
        camera=np.array(names["camera"], np.int32),
        clothes=np.array(names["clothes"], np.int64),
    )


COLLECTION = Collection(
    name="ltcc",
    title=TITLE,
    owner="Xuelin Qian and co-authors, Fudan University",
    paper="Qian et al., Long-Term Cloth-Changing Person Re-identification, ACCV 2020",
    licence="research only, by an agreement with its authors; not to be passed on",
    measures="retrieval across twelve cameras over many days, in the same and in other clothes",
    layout="""\
train/094_1_c9_015923.png   person 94, their outfit 1, camera 9, frame 15923
query/...                   as train
test/...                    the gallery
info/...                    not read""",
    expected=(
        Count("train", "train", images=9_576, persons=77),
        Count("query", "query", images=493, persons=75),
        Count("gallery", "gallery", images=7_050, persons=75),
        Count("all", images=17_119, persons=152),
    ),
    sources=(
        "https://naiq.github.io/LTCC_Perosn_ReID.html",
        "https://github.com/QizaoWang/CAMC-CCReID",
        "https://github.com/guxinqian/Simple-CCReID",
        "https://huggingface.co/datasets/Paipile/ltcc-h5",
    ),
    read=read,
    protocol="ltcc",
)
