"""The MLR collections (MLR-CUHK03, MLR-Market1501, ...) and CAVIAR: low resolution asks for high resolution.

Jiao et al. (Deep Low-Resolution Person Re-Identification, AAAI 2018) set the task: low-resolution images are the
queries, and the gallery has one high-resolution image of each person. The paper was not at hand; confirmed in
https://github.com/Yukun-Huang/Degradation-Invariant-ReID-pytorch (core/reid_eval), which tests MLR-CUHK03, MLR-VIPeR
and CAVIAR single-shot, and leaves images of the query's person by its camera out.

Where public codes differ: that code draws a gallery of its own for each query, 100 times, from what is not left out.
Here each of ten draws is one gallery for all queries, and a query whose match was drawn from its own camera is
skipped in that draw; where one camera has one resolution there is no such query. For other collections that code is
multi-shot, as is usual for Market-1501, and https://github.com/ashmentlzw/VPFA, which has one evaluator, is so for
all of them; that setting is given as well. Distractors are in the multi-shot gallery alone.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.draws import shots_of_persons
from itkm_core.evaluation.protocols.setting import Draw, Setting, Tested, within
from itkm_core.evaluation.rules import Rules


def settings(tested: Tested) -> list[Setting]:
    """Single-shot and multi-shot."""
    query, gallery = tested.rows("query", group=1), tested.rows("gallery", group=0)
    draws = tuple(Draw(query, rows) for rows in shots_of_persons(tested, gallery, 1))
    return [
        Setting("single-shot", 1, 0, Rules(), draws),
        within(tested, "multi-shot", query, gallery, Rules()),
    ]
