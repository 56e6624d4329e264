"""RegDB (Nguyen et al., Sensors 2017): thermal images ask for visible ones, and the other way.

Confirmed in https://github.com/mangye16/Cross-Modal-Re-ID-baseline (eval_regdb, its test script), whose split into ten
trials the field uses: all test images of one side against all of the other, the two sides being two cameras, so
nothing is left out. Each trial has its own training people and hence its own corpus and run; the published numbers
are means over the ten runs, which `itkm evaluate RUN1 RUN2 ...` prints. No evaluation code of the collection's
authors was found.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.setting import Setting, Tested, within
from itkm_core.evaluation.rules import Rules

RULES = Rules(same_camera=False)


def settings(tested: Tested) -> list[Setting]:
    """Both directions."""
    thermal, visible = tested.rows(group=1), tested.rows(group=0)
    return [
        within(tested, "thermal to visible", thermal, visible, RULES),
        within(tested, "visible to thermal", visible, thermal, RULES),
    ]
