"""PRCC (Yang et al., TPAMI 2021): camera C, in other clothes, and camera B, in the same, ask for camera A.

Confirmed through those who follow the paper: the gallery has one image of each person by camera A, drawn ten times,
and the mean over the draws is reported (https://github.com/MingkunLishigure/SiCL/issues/1, quoting section 5.1 of the
paper; gallery_idx in data/datasets/prcc.py of https://github.com/guxinqian/Simple-CCReID). The paper itself and code
of its authors were not at hand. With one match a query, AP and INP are one over its rank.

Where public codes differ: Simple-CCReID and https://github.com/QizaoWang/FIRe-CCReID ask for all images of camera A
(multi-shot). For the same weights that gave rank-1 53.3 and mAP 36.4 where single-shot gave 40.4 and 53.0
(https://github.com/MingkunLishigure/SiCL/issues/4); both are given here, each under its name. SiCL says there that it
drops the best and the worst of its draws before the mean; here none is dropped.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.draws import shots_of_persons
from itkm_core.evaluation.protocols.setting import Draw, Setting, Tested
from itkm_core.evaluation.rules import Rules

RULES = Rules(same_camera=False)


def settings(tested: Tested) -> list[Setting]:
    """Cloth-changing and same clothes, single- and multi-shot."""
    gallery = tested.rows("gallery")
    drawn = shots_of_persons(tested, gallery, 1)
    found = []
    for name, group in (("cloth-changing", 1), ("same clothes", 0)):
        query = tested.rows("query", group=group)
        draws = {"single-shot": drawn, "multi-shot": [gallery]}
        found += [
            Setting(
                f"{name} {shot}", group, 0, RULES, tuple(Draw(query, rows) for rows in galleries)
            )
            for shot, galleries in draws.items()
        ]
    return found
