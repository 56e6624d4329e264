"""CAVIAR4REID (Cheng et al., BMVC 2011) as its authors publish it: one folder of pictures.

Names such as 0003012.jpg: person 3, picture 12 of them. Pictures up to 10 are one camera's and the others the other's;
one camera is near and one far, so its pictures are small by nature. As in cross-resolution papers, the 50 people whom
both saw count, half of them for training; the authors publish no split, so ours are drawn.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.files import file_stamps
from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.shipped import make_rows, pictures_in, read_names
from itkm_core.errors import CorpusError

TITLE = "CAVIAR4REID"
PER_CAMERA = 10  # pictures of a person
SPLITS = tuple(str(draw) for draw in range(1, 11))
SEED = 20110829  # of the splits [ours]

_PATH = re.compile(r"(?:[^/]+/)*(?P<person>\d{4})(?P<picture>\d{3})\.jpg")


def read(root: str, scenario: str, variant: str = SPLITS[0]) -> Listing:
    """The far camera's pictures in group 1, as queries, the near one's in group 0.

    Which camera is far is not published: it is the one whose files are smaller, in the median. [ours]
    variant: the number of the split, drawn by a fixed generator. [ours]

    Raises:
        CorpusError: there are no pictures, a file name has another form, or nobody was seen by both cameras.
    """
    shipped = pictures_in(root, [""], TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "0003012.jpg")
    person = number_names(names["person"], np.int64, first=1)[0]
    camera = np.where(np.array(names["picture"], np.int32) > PER_CAMERA, 2, 1)
    both = np.intersect1d(person[camera == 1], person[camera == 2])
    if not len(both):
        raise CorpusError(
            f"{root} has nobody in pictures 001 to 010 and in 011 to 020; expected {TITLE} as published, with names "
            "such as 0003012.jpg: extract its archive again"
        )
    kept = np.isin(person, both)
    shipped.keep(np.array(shipped.uris)[kept].tolist(), "of a person whom one camera alone saw")
    person, camera = person[kept], camera[kept]
    sizes = file_stamps(root, shipped.uris)[0]
    far = 1 if np.median(sizes[camera == 1]) < np.median(sizes[camera == 2]) else 2
    rng = np.random.default_rng((SEED, int(variant)))
    train = np.isin(person, rng.permutation(both)[: len(both) // 2])
    return make_rows(
        shipped,
        scenario,
        split=np.where(train, "train", np.where(camera == far, "query", "gallery")).tolist(),
        person=person,
        camera=camera,
        group=camera == far,
    )


COLLECTION = Collection(
    name="caviar",
    title=TITLE,
    owner="Loris Bazzani, Marco Cristani and co-authors, University of Verona",
    paper="Cheng et al., Custom Pictorial Structures for Re-identification, BMVC 2011",
    licence="no licence found; given out for research, from the videos of the project CAVIAR",
    measures="retrieval of pictures by a near camera by those of a far one, in a shopping mall",
    layout="""\
0003012.jpg   person 3, picture 12 of them: up to 10 of one camera, then of the other
              in the folder itself or in one below""",
    expected=(
        Count("train", "train", images=500, persons=25),
        Count("low-resolution query", "query", 1, images=250, persons=25),
        Count("high-resolution gallery", "gallery", 0, images=250, persons=25),
    ),
    sources=(
        "https://lorisbaz.github.io/caviar4reid.html",
        "https://github.com/amateurbo/MRLReID",
        "https://github.com/MiSanl/MDIFF-for-CRReID",
    ),
    read=read,
    protocol="mlr",
    variants=SPLITS,
    unconfirmed="which camera is the far one, so file sizes tell; the splits that papers drew",
)
