"""The MLR collections (Jiao et al., AAAI 2018) in the re-packing that public code reads most: Market-1501's folders.

The pictures of one camera are in low resolution, and query/ holds those alone; bounding_box_test/ holds the other
cameras', in high resolution. Which camera it is differs from one re-packing to another (1 or 3 of Market-1501, in
public code), so query/ tells: its cameras are the low-resolution ones of bounding_box_train/ too. [ours]
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.listing import Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.shipped import make_rows, pictures_in, read_names
from itkm_core.corpus.schema import DISTRACTOR
from itkm_core.errors import CorpusError

FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
SOURCES = (
    "https://github.com/NUISTGY/Deep-High-Resolution-Representation-Learning-for-Cross-Resolution-Person-Re-identification",
    "https://github.com/amateurbo/MRLReID",
    "https://github.com/MiSanl/MDIFF-for-CRReID",
    "https://github.com/Yukun-Huang/Degradation-Invariant-ReID-pytorch",
)

_PATH = re.compile(
    r"(?P<folder>bounding_box_train|query|bounding_box_test)/(?P<person>-1|\d+)_c(?P<camera>\d+)[^/]*"
)


def read_mlr(root: str, scenario: str, title: str, example: str, *, distractors: bool) -> Listing:
    """Low-resolution pictures in group 1, the others in group 0.

    example: a path, for errors. distractors: person 0 is one; else people begin at 1.

    Raises:
        CorpusError: a folder is missing or empty, a file name has another form, or people's pictures of one camera are
            in query/ and in bounding_box_test/, which tells no resolution.
    """
    shipped = pictures_in(root, list(FOLDERS), title, scenario)
    names = read_names(shipped.uris, _PATH, title, example)
    person = number_names(names["person"], np.int64, first=0 if distractors else 1)[0]
    camera = np.array(names["camera"], np.int32)
    split = np.array([FOLDERS[folder] for folder in names["folder"]])
    low = np.unique(camera[split == "query"])
    # Distractors stay in the gallery as they are, whatever their camera.
    both = np.intersect1d(low, camera[(split == "gallery") & (person > DISTRACTOR)])
    if len(both):
        raise CorpusError(
            f"{root} has pictures of camera {both[0]} in query and in bounding_box_test, and in {title} the cameras of "
            "query are in low resolution; expected each camera in one of them. For a collection in one resolution use "
            "its own name with --derive mlr"
        )
    return make_rows(
        shipped,
        scenario,
        split=split.tolist(),
        person=person,
        camera=camera,
        group=np.isin(camera, low) & (split != "gallery"),
    )
