"""SYSU-MM01 (Wu et al., ICCV 2017 and IJCV 2020) as its authors publish it.

Paths such as cam3/0006/0012.jpg: camera 3, person 6. Cameras 3 and 6 are infrared (group 1), the others visible. Whom
exp/ names in none of its split files was seen by one camera alone, and is left out, as the authors do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import LISTED_DRAWS_SCHEMA, Listing
from itkm_core.collections.shipped import make_rows, pictures_in, read_names, read_text
from itkm_core.collections.split_files import read_mat
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import exists, join

TITLE = "SYSU-MM01"
CAMERAS = (1, 2, 3, 4, 5, 6)
INFRARED = (3, 6)
SPLIT_FILES = {"exp/train_id": "train", "exp/val_id": "train", "exp/test_id": "test"}
DRAWS_FILE = "exp/rand_perm_cam.mat"

_PATH = re.compile(r"cam(?P<camera>[1-6])/(?P<person>\d{4})/[^/]+")


class Seen(NamedTuple):
    """A picture of a person by a camera."""

    uri: str
    camera: int
    person: int


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """Training and validation people are `train`; of test people, infrared is `query` and visible `gallery`.

    `Listing.draws` has the authors' ten draws of the gallery if exp/ has rand_perm_cam.mat.

    Raises:
        CorpusError: a camera's folder or a split file is missing, a path has another form, a person of a split has no
            pictures, or of a test person there are not as many as the draws are made for.
    """
    shipped = pictures_in(root, [f"cam{camera}" for camera in CAMERAS], TITLE, scenario)
    splits = {
        person: split for stem, split in SPLIT_FILES.items() for person in read_ids(root, stem)
    }
    names = read_names(shipped.uris, _PATH, TITLE, "cam3/0006/0012.jpg")
    seen = [
        Seen(uri, int(camera), int(person))
        for uri, camera, person in zip(shipped.uris, names["camera"], names["person"], strict=True)
    ]
    absent = sorted(splits.keys() - {each.person for each in seen})
    if absent:
        raise CorpusError(
            f"{root} has no pictures of {len(absent)} of the {len(splits)} people in its split files, such as "
            f"cam*/{absent[0]:04d}; expected all: extract the archive of {TITLE} again"
        )
    seen = [each for each in seen if each.person in splits]
    shipped.keep([each.uri for each in seen], "of a person in no split file")
    test = [each for each in seen if splits[each.person] == "test"]
    return make_rows(
        shipped,
        scenario,
        split=[_split(each, splits) for each in seen],
        person=[each.person for each in seen],
        camera=[each.camera for each in seen],
        group=[int(each.camera in INFRARED) for each in seen],
        draws=published_draws(root, test) if exists(join(root, DRAWS_FILE)) else None,
    )


def _split(each: Seen, splits: Mapping[int, str]) -> str:
    if splits[each.person] == "train":
        return "train"
    return "query" if each.camera in INFRARED else "gallery"


def read_ids(root: str, stem: str) -> list[int]:
    """The people of a split: numbers with commas in `stem`.txt, or where only that is there, `id` in `stem`.mat.

    Raises:
        CorpusError: neither is there, or it holds something else.
    """
    try:
        if exists(join(root, f"{stem}.mat")) and not exists(join(root, f"{stem}.txt")):
            return [int(person) for person in read_mat(root, f"{stem}.mat", TITLE)["id"].ravel()]
        return [int(person) for person in read_text(root, f"{stem}.txt", TITLE).split(",")]
    except (KeyError, ValueError) as error:
        raise CorpusError(
            f"{join(root, stem)} of {TITLE} does not hold people's numbers ({error}); expected 1,2,4,... in .txt, "
            "or the variable id in .mat"
        ) from error


def published_draws(root: str, test: Sequence[Seen]) -> pa.Table:
    """LISTED_DRAWS_SCHEMA of the authors' draws of the visible pictures.

    `rand_perm_cam` has a cell a camera, with a cell a person, with a draw a row: a permutation, from 1, of the numbers
    that the person's pictures by that camera have in the order of their names. Cells end at the last person that
    the camera saw, and are empty for those it did not.

    test: every picture of the test people, sorted by uri.

    Raises:
        CorpusError: the file has another form, or a person's pictures are not as many as it says.
    """
    cells = read_mat(root, DRAWS_FILE, TITLE).get("rand_perm_cam")
    if cells is None or cells.shape != (len(CAMERAS), 1):
        raise CorpusError(
            f"{join(root, DRAWS_FILE)} holds no draws of {TITLE}; expected the variable rand_perm_cam with a cell for "
            f"each of {len(CAMERAS)} cameras"
        )
    pictures: dict[tuple[int, int], list[str]] = {}
    for each in test:
        pictures.setdefault((each.camera, each.person), []).append(each.uri)
    uris, draws, places = [], [], []
    for camera in CAMERAS:
        for person in sorted({each.person for each in test}):
            uri = np.array(pictures.get((camera, person), []), dtype=object)
            orders = cells[camera - 1, 0]
            order = orders[person - 1, 0] if person <= len(orders) else np.empty((0, 0), np.int64)
            if (
                order.shape[1] != len(uri)
                or not (np.sort(order) == np.arange(1, len(uri) + 1)).all()
            ):
                raise CorpusError(
                    f"{join(root, f'cam{camera}')}/{person:04d} has {len(uri)} pictures, and {DRAWS_FILE} has draws of "
                    f"{order.shape[1]}; expected as many: extract the archive of {TITLE} again"
                )
            if camera not in INFRARED:
                draw, place = np.indices(order.shape)
                uris.append(uri[order.astype(np.int64).ravel() - 1])
                draws.append(draw.ravel())
                places.append(place.ravel())
    columns = [np.concatenate(column) for column in (uris, draws, places)]
    return pa.table(columns, schema=LISTED_DRAWS_SCHEMA)


COLLECTION = Collection(
    name="sysu-mm01",
    title=TITLE,
    owner="Ancong Wu, Wei-Shi Zheng and co-authors, Sun Yat-sen University",
    paper="Wu et al., RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017; IJCV 2020",
    licence="by a release agreement that you sign and send to the authors; the people in it agreed in writing to "
    "research, and to being shown in papers",
    measures="retrieval of visible pictures by infrared ones, indoors and outdoors",
    layout="""\
cam1/0001/0001.jpg ... cam6/0001/0001.jpg   camera, person; cameras 3 and 6 are infrared
exp/train_id.txt, exp/val_id.txt, exp/test_id.txt   people's numbers; .mat where there is no .txt
exp/rand_perm_cam.mat   optional: the ten draws of the gallery, from data_split/ of the authors' evaluation code""",
    expected=(
        Count("visible train", "train", 0, images=22_258, persons=395),
        Count("infrared train", "train", 1, images=11_909, persons=395),
        Count("infrared query", "query", 1, images=3_803, persons=96),
        Count("visible gallery", "gallery", 0, images=6_775, persons=96),
    ),
    sources=(
        "https://github.com/wuancong/SYSU-MM01",
        "https://github.com/wuancong/SYSU-MM01/tree/master/evaluation",
    ),
    read=read,
    protocol="sysu-mm01",
)
