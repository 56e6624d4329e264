"""Market-1501 (Zheng et al., ICCV 2015) as its authors publish it.

Names such as 0002_c1s1_000451_03.jpg: person 2, camera 1, sequence 1, frame 451, box 3. Person 0000 is
a distractor (id 0) and -1 is junk (id -1): both stay in the gallery, and evaluation handles them.
"""

from __future__ import annotations

import re

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import make_rows, pictures_in
from itkm_core.errors import CorpusError

TITLE = "Market-1501"
FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}

_NAME = re.compile(r"(-1|\d{4})_c([1-6])s\d_\d{6}_\d{2}\.jpg(?:\.jpg)?")


def read(root: str, scenario: str, variant: str = "") -> Listing:
    """The pictures of the three folders, all in group 0.

    Raises:
        CorpusError: a folder is missing, or a file name has another form.
    """
    shipped = pictures_in(root, list(FOLDERS), TITLE, scenario)
    named = [parse_name(uri.partition("/")[2]) for uri in shipped.uris]
    return make_rows(
        shipped,
        scenario,
        split=[FOLDERS[uri.partition("/")[0]] for uri in shipped.uris],
        person=[person for person, _ in named],
        camera=[camera for _, camera in named],
    )


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


COLLECTION = Collection(
    name="market1501",
    title=TITLE,
    owner="Liang Zheng and co-authors, Tsinghua University",
    paper="Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015",
    licence="research only, as its authors ask; pictures of people who were not asked",
    measures="retrieval across the six cameras of a campus supermarket",
    layout="""\
bounding_box_train/0002_c1s1_000451_03.jpg   person 2, camera 1, sequence 1, frame 451, box 3
query/0001_c1s1_001051_00.jpg
bounding_box_test/0000_c1s1_000151_01.jpg    0000: a distractor; -1: junk""",
    expected=(
        Count("train", "train", images=12_936, persons=751),
        Count("query", "query", images=3_368, persons=750),
        Count("gallery", "gallery", images=19_732, persons=750),
        Count("gallery without junk", "gallery", images=15_913, without_junk=True),
    ),
    sources=("https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",),
    read=read,
    protocol="market1501",
)
