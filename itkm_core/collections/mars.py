"""MARS (Zheng et al., ECCV 2016) as its authors publish it, with info/ of their evaluation code.

Names such as 0001C1T0002F003.jpg in the folder 0001: person 1, camera 1, its tracklet 2 of them, picture 3 of that.
00-1 is junk and 0000 a distractor. The lists in info/ say which names make up a tracklet and which tracklets are
queries. Pictures are numbered within their tracklet, which is no moment of the camera, so frames stay unknown.

The authors' gallery is every test tracklet, the queries among them: 140 queries have their only answers there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import check_paths, make_rows, pictures_in, read_names, read_text
from itkm_core.collections.split_files import keep_listed, read_mat
from itkm_core.corpus.schema import UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import join

TITLE = "MARS"
QUERIES = "info/query_IDX.mat"
INFO = {
    part: (f"info/{part}_name.txt", f"info/tracks_{part}_info.mat") for part in ("train", "test")
}

_PATH = re.compile(
    r"bbox_(?:train|test)/(?P<person>\d{4}|00-1)/(?P=person)C(?P<camera>[1-6])T\d+F\d+\.jpg"
)

IntArray = npt.NDArray[np.int64]


class Tracks(NamedTuple):
    """uris: pictures in the order of the list. track: the row in `table` of each, -1 for none.

    table: int64 [tracks, 4], of each the number, from 1, of its first and last picture, its person and its camera.
    """

    uris: list[str]
    track: IntArray
    table: IntArray


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """The pictures that info/ names, all in group 0.

    tracklet: the tracklet's number, from 1, in the list of the training ones and then the test ones.

    Raises:
        CorpusError: a folder, a list or a picture of a list is missing, a name has another form, or lists contradict
            each other or the names.
    """
    check_paths(root, ["bbox_train", "bbox_test", *sum(INFO.values(), ()), QUERIES], TITLE)
    train, test = (read_tracks(root, part) for part in INFO)
    queries = read_queries(root, len(test.table))
    shipped = pictures_in(root, ["bbox_train", "bbox_test"], TITLE, scenario)
    listed = {uri: row for row, uri in enumerate([*train.uris, *test.uris])}
    keep_listed(shipped, listed, root, TITLE)
    order = np.array([listed[uri] for uri in shipped.uris], np.int64)
    later = np.where(test.track == UNKNOWN, UNKNOWN, test.track + len(train.table))
    track = np.concatenate([train.track, later])[order]
    names = read_names(shipped.uris, _PATH, TITLE, "bbox_train/0001/0001C1T0001F001.jpg")
    person = np.array([-1 if text == "00-1" else int(text) for text in names["person"]], np.int64)
    camera = np.array(names["camera"], np.int64)
    said = np.concatenate([train.table, test.table])[track, 2:]
    wrong = (track != UNKNOWN) & (said != np.stack([person, camera], axis=1)).any(axis=1)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CorpusError(
            f"{shipped.uris[at]!r} is of person {said[at, 0]} and camera {said[at, 1]} by the tracklets in "
            f"{join(root, 'info')}; expected what its name says: take name and track lists of one version of {TITLE}"
        )
    is_query = np.isin(track, queries + len(train.table))
    return make_rows(
        shipped,
        scenario,
        split=np.where(
            order < len(train.uris), "train", np.where(is_query, "query", "gallery")
        ).tolist(),
        person=person,
        camera=camera,
        tracklet=np.where(track == UNKNOWN, UNKNOWN, track + 1),
    )


def read_tracks(root: str, part: str) -> Tracks:
    """The tracklets of `train` or `test`.

    Raises:
        CorpusError: a list is missing or has another form.
    """
    names_file, tracks_file = INFO[part]
    names = read_text(root, names_file, TITLE).split()
    table = read_mat(root, tracks_file, TITLE).get(f"track_{part}_info")
    if table is None or table.ndim != 2 or table.shape[1] != 4:
        raise CorpusError(
            f"{join(root, tracks_file)} of {TITLE} has no table; expected the variable track_{part}_info with "
            "first and last picture, person and camera of each tracklet"
        )
    table = table.astype(np.int64)
    first, last = table[:, 0], table[:, 1]
    if not len(table) or first.min() < 1 or (first > last).any() or last.max() > len(names):
        raise CorpusError(
            f"{join(root, tracks_file)} has tracklets of other pictures than the {len(names):,} in {names_file}; "
            f"expected both of one version of {TITLE}"
        )
    track = np.full(len(names), UNKNOWN, np.int64)
    for row in range(len(table)):
        track[first[row] - 1 : last[row]] = row
    return Tracks([f"bbox_{part}/{name[:4]}/{name}" for name in names], track, table)


def read_queries(root: str, num_tracks: int) -> IntArray:
    """The rows of the query tracklets in the table of the test tracklets.

    Raises:
        CorpusError: the file is missing or has another form.
    """
    numbers = read_mat(root, QUERIES, TITLE).get("query_IDX")
    if numbers is None or not numbers.size or numbers.min() < 1 or numbers.max() > num_tracks:
        raise CorpusError(
            f"{join(root, QUERIES)} of {TITLE} names no queries among {num_tracks:,} test tracklets; expected the "
            "variable query_IDX with their numbers, from 1"
        )
    return numbers.ravel().astype(np.int64) - 1


COLLECTION = Collection(
    name="mars",
    title=TITLE,
    owner="Liang Zheng and co-authors, Tsinghua University",
    paper="Zheng et al., MARS: A Video Benchmark for Large-Scale Person Re-Identification, ECCV 2016",
    licence="research only, as its authors ask; pictures of people who were not asked",
    measures="retrieval of tracklets across the six cameras of Market-1501: 8,298 for training; 12,180 for the test, "
    "1,980 of them queries",
    layout="""\
bbox_train/0001/0001C1T0001F001.jpg   person 1, camera 1, tracklet 1, picture 1
bbox_test/00-1/00-1C1T0001F001.jpg    00-1: junk; 0000: a distractor
info/train_name.txt, info/test_name.txt
info/tracks_train_info.mat, info/tracks_test_info.mat, info/query_IDX.mat   from the authors' MARS-evaluation""",
    # The paper's 636 test people, and 1,261 in all, count junk and distractors as one each.
    expected=(
        Count("train", "train", images=509_914, persons=625),
        Count("query", "query", persons=626),
        Count("gallery", "gallery", persons=620),
        Count("all", images=1_191_003, persons=1_259),
    ),
    sources=(
        "https://zheng-lab.cecs.anu.edu.au/Project/project_mars.html",
        "https://github.com/liangzheng06/MARS-evaluation",
        "https://github.com/KaiyangZhou/deep-person-reid/issues/59",
        "https://github.com/guxinqian/AP3D/issues/2",
    ),
    read=read,
    protocol="mars",
)
