"""VC-Clothes (Wan et al., CVPR Workshops 2020): synthetic people by four cameras, in other clothes by the fourth.

Confirmed in https://github.com/guxinqian/Simple-CCReID (data/datasets/vcclothes.py): cloth-changing asks queries of
cameras 3 and 4 of the gallery of those two, same clothes those of cameras 2 and 3, and the general setting all of
all; images of the query's person by its camera are left out. No evaluation code of the collection's authors was
found.

Where public codes differ: https://github.com/MingkunLishigure/SiCL (issue 5 there) asks all of all, and leaves images
of the query's person in its clothes out as well, as for LTCC; this is the setting by clothes.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.setting import Setting, Tested, within
from itkm_core.evaluation.rules import Rules

CAMERAS = {"cloth-changing": (3, 4), "same clothes": (2, 3), "all cameras": None}


def settings(tested: Tested) -> list[Setting]:
    """Cloth-changing, same clothes, all cameras, and cloth-changing by clothes in place of cameras."""
    found = []
    for name, cameras in CAMERAS.items():
        query, gallery = (tested.rows(split, cameras=cameras) for split in ("query", "gallery"))
        found.append(within(tested, name, query, gallery, Rules()))
    query, gallery = tested.rows("query"), tested.rows("gallery")
    by_clothes = within(
        tested, "cloth-changing by clothes", query, gallery, Rules(same_clothes=True)
    )
    return [*found, by_clothes]
