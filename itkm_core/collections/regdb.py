"""RegDB (Nguyen et al., Sensors 2017) with the ten trials that the field splits it by.

Paths such as Visible/88/female_back_v_01102_88.bmp: person 88. Two cameras, one of each kind, saw everybody ten times;
the lists of idx/ halve the people at random, once for each trial.
"""

from __future__ import annotations

import re

import numpy as np

from itkm_core.collections.collection import Collection, Count
from itkm_core.collections.listing import Listing
from itkm_core.collections.shipped import make_rows, read_names
from itkm_core.collections.split_files import Part, listed_pictures

TITLE = "RegDB"
TRIALS = tuple(str(trial) for trial in range(1, 11))
VISIBLE, THERMAL = 1, 2

_PATH = re.compile(r"(?:Visible|Thermal)/(?P<person>\d+)/[^/]+")


def read(root: str, scenario: str, variant: str) -> Listing:
    """The pictures of trial `variant`; of test people, thermal is `query` and visible `gallery`.

    Raises:
        CorpusError: a folder, a list of the trial or a listed picture is missing, or a path has another form.
    """
    lists = trial_lists(variant)
    shipped, parts = listed_pictures(root, lists, ["Visible", "Thermal"], TITLE, scenario)
    names = read_names(shipped.uris, _PATH, TITLE, "Visible/88/female_back_v_01102_88.bmp")
    return make_rows(
        shipped,
        scenario,
        split=[part.split for part in parts],
        person=np.array(names["person"], np.int64),
        camera=[THERMAL if part.group else VISIBLE for part in parts],
        group=[part.group for part in parts],
    )


def trial_lists(trial: str) -> dict[str, Part]:
    """The four lists of a trial."""
    return {
        f"idx/train_visible_{trial}.txt": Part("train", 0),
        f"idx/train_thermal_{trial}.txt": Part("train", 1),
        f"idx/test_visible_{trial}.txt": Part("gallery", 0),
        f"idx/test_thermal_{trial}.txt": Part("query", 1),
    }


COLLECTION = Collection(
    name="regdb",
    title=TITLE,
    owner="Dat Tien Nguyen, Kang Ryoung Park and co-authors, Dongguk University (as DBPerson-Recog-DB1)",
    paper="Nguyen et al., Person Recognition System Based on a Combination of Body Images from Visible Light and "
    "Thermal Cameras, Sensors 17(3), 2017",
    licence="by a form that you send to its owner",
    measures="retrieval between visible and thermal pictures, both ways, over ten trials",
    layout="""\
Visible/88/female_back_v_01102_88.bmp   person 88
Thermal/88/female_back_t_01102_88.bmp
idx/train_visible_1.txt, train_thermal_1.txt, test_visible_1.txt, test_thermal_1.txt   trial 1, and so on to 10""",
    expected=(
        Count("visible train", "train", 0, images=2_060, persons=206),
        Count("thermal train", "train", 1, images=2_060, persons=206),
        Count("thermal test", "query", 1, images=2_060, persons=206),
        Count("visible test", "gallery", 0, images=2_060, persons=206),
    ),
    sources=(
        "http://dm.dongguk.edu/link.html",
        "https://github.com/mangye16/Cross-Modal-Re-ID-baseline",
    ),
    read=read,
    protocol="regdb",
    variants=TRIALS,
    unconfirmed="whether its owner's archive holds idx/, or the code of Ye et al. brings it",
)
