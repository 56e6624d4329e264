"""Market-1501 (Zheng et al., ICCV 2015) as its authors publish it.

Names such as 0002_c1s1_000451_03.jpg: person 2, camera 1, sequence 1, frame 451, box 3. Person 0000 is
a distractor (id 0) and -1 is junk (id -1): both stay in the gallery, and evaluation handles them.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from itkm_core.collections.files import check_folder, check_inside, picture_files
from itkm_core.corpus.schema import LISTING_SCHEMA, UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join

SCENARIO = "market1501"
FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}

_NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d_\d{6}_\d{2}\.jpg(?:\.jpg)?")


def list_images(root: str, *, scenario: str | None = None) -> pa.Table:
    """The pictures of the three folders as a listing (LISTING_SCHEMA, sorted by uri), all in group 0.

    Raises:
        CorpusError: a folder is missing or leads out of the root, or a file name has another form.
    """
    check_folder(root)
    for folder in FOLDERS:
        if not exists(join(root, folder)):
            raise CorpusError(
                f"{root} has no folder {folder}; expected Market-1501 as published, with "
                f"{', '.join(FOLDERS)}. For other layouts use --as folder"
            )
    uris, splits, people, cameras = [], [], [], []
    for folder, split in FOLDERS.items():
        for name in picture_files(join(root, folder)):
            person, camera = parse_name(name)
            uris.append(f"{folder}/{name}")
            splits.append(split)
            people.append(person)
            cameras.append(camera)
    check_inside(root, uris)  # one of the three folders may be a link
    num = len(uris)
    columns = {
        "uri": uris,
        "scenario": [scenario or SCENARIO] * num,
        "group": np.zeros(num, dtype=np.int8),
        "camera": np.array(cameras, dtype=np.int32),
        "split": splits,
        "person": np.array(people, dtype=np.int64),
        "clothes": np.full(num, UNKNOWN, dtype=np.int64),
    }
    return pa.table(columns, schema=LISTING_SCHEMA).sort_by("uri")


def parse_name(name: str) -> tuple[int, int]:
    """(person, camera) from a file name.

    Raises:
        CorpusError: the name is of another form.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise CorpusError(
            f"{name!r} is not a name of Market-1501; expected one such as 0002_c1s1_000451_03.jpg"
        )
    return int(found[1]), int(found[2])
