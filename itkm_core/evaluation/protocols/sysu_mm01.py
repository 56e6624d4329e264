"""SYSU-MM01 (Wu et al., ICCV 2017; IJCV 2020): infrared images ask for visible ones, indoors or anywhere.

Confirmed in the authors' code, https://github.com/wuancong/SYSU-MM01/tree/master/evaluation: queries are all test
images of cameras 3 and 6; the gallery has n images (1 or 10) of each person by each of the cameras 1, 2, 4, 5 (all)
or 1, 2 (indoor), in the ten draws of rand_perm_cam.mat; a query of camera 3 never sees camera 2, which stands in the
same place; in the CMC each person counts once, at the first of its images; AP is over images; the mean is over the
draws.

Where public codes differ: the code of AGW (https://github.com/mangye16/Cross-Modal-Re-ID-baseline) and what grew from
it draws its gallery anew instead of taking the published draws. mINP is that code's, over images.
"""

from __future__ import annotations

import numpy as np

from itkm_core.evaluation.protocols.draws import published_shots, shots_of_cameras
from itkm_core.evaluation.protocols.setting import Draw, Setting, Tested
from itkm_core.evaluation.rules import Rules

QUERY_CAMERAS = (3, 6)
SEARCHES = {"all-search": (1, 2, 4, 5), "indoor-search": (1, 2)}
SHOTS = {"single-shot": 1, "10-shot": 10}
RULES = Rules(same_camera=False, blind=frozenset({(3, 2)}), persons_once=True)


def settings(tested: Tested) -> list[Setting]:
    """All and indoor search, single- and 10-shot, by the published draws if the corpus has them."""
    query = tested.rows("query", cameras=QUERY_CAMERAS)
    gallery = tested.rows("gallery", cameras=SEARCHES["all-search"])
    found = []
    for search, cameras in SEARCHES.items():
        for shot, shots in SHOTS.items():
            if tested.draws is None:
                drawn = shots_of_cameras(tested, gallery, shots)
            else:
                drawn = published_shots(tested.draws, gallery, shots)
            draws = (rows[np.isin(tested.camera[rows], cameras)] for rows in drawn)
            found.append(
                Setting(f"{search} {shot}", 1, 0, RULES, tuple(Draw(query, rows) for rows in draws))
            )
    return found
