"""Market-1501 (Zheng et al., ICCV 2015) as its authors publish it.

Names such as 0002_c1s1_000451_03.jpg: person 2, camera 1, sequence 1, frame 451, box 3. Person 0000 is
a distractor (id 0) and -1 is junk (id -1): both stay in the gallery, and evaluation handles them.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from itkm_core.collections.files import SetAside, check_folder, links_out
from itkm_core.collections.finding import find_pictures
from itkm_core.collections.listing import Listing
from itkm_core.corpus.schema import LISTING_SCHEMA, UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join

SCENARIO = "market1501"
FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}

_NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d_\d{6}_\d{2}\.jpg(?:\.jpg)?")


def list_images(root: str, *, scenario: str | None = None) -> Listing:
    """The pictures of the three folders, all in group 0.

    Raises:
        CorpusError: a folder is missing, or a file name has another form.
    """
    check_folder(root)
    for folder in FOLDERS:
        if not exists(join(root, folder)):
            raise CorpusError(
                f"{root} has no folder {folder}; expected Market-1501 as published, with "
                f"{', '.join(FOLDERS)}. For other layouts use --as folder"
            )
    name_of = scenario or SCENARIO
    splits: dict[str, str] = {}
    aside: list[SetAside] = []
    left_out: dict[str, tuple[int, str]] = {}
    for folder, split in FOLDERS.items():
        found = find_pictures(join(root, folder), by_content=False)
        splits.update({f"{folder}/{name}": split for name in found.paths})
        aside += [
            replace(each, uri=f"{folder}/{each.uri}", scenario=name_of) for each in found.aside
        ]
        for kind, (number, example) in found.left_out.items():
            before, first = left_out.get(kind, (0, f"{folder}/{example}"))
            left_out[kind] = (before + number, first)
    away = links_out(root, list(splits))  # one of the three folders may be a link
    aside += [SetAside(uri, "outside", target, name_of) for uri, target in away.items()]
    uris = [uri for uri in splits if uri not in away]
    named = [parse_name(uri.partition("/")[2]) for uri in uris]
    num = len(uris)
    columns = {
        "uri": uris,
        "scenario": [name_of] * num,
        "group": np.zeros(num, dtype=np.int8),
        "camera": np.array([camera for _, camera in named], dtype=np.int32),
        "tracklet": np.full(num, UNKNOWN, dtype=np.int64),
        "frame": np.full(num, UNKNOWN, dtype=np.int64),
        "split": [splits[uri] for uri in uris],
        "person": np.array([person for person, _ in named], dtype=np.int64),
        "clothes": np.full(num, UNKNOWN, dtype=np.int64),
    }
    rows = pa.table(columns, schema=LISTING_SCHEMA).sort_by("uri")
    return Listing(rows, aside=aside, left_out=left_out)


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
