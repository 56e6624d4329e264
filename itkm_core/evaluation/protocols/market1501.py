"""Market-1501 (Zheng et al., ICCV 2015), and those that are tested as it is: MSMT17 and CUHK03 by its new protocol.

Every query image by itself against the whole gallery, images of the query's person by its camera and junk left out.
Confirmed for Market-1501 in `rank`'s source, for CUHK03 in https://github.com/zhunzhong07/person-re-ranking (README
and issue 16), and for MSMT17 by codes that test it as they test Market-1501, such as AlignedReID++
(https://deepwiki.com/michuanhaohao/AlignedReID/9.3-evaluation-metrics-and-protocols); not with its authors.

Where public codes differ: the authors' MATLAB code for Market-1501 averages each precision with the one before it;
see `rank`.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.setting import Setting, Tested, within
from itkm_core.evaluation.rules import Rules


def settings(tested: Tested) -> list[Setting]:
    """The one there is."""
    return [within(tested, "single query", tested.rows("query"), tested.rows("gallery"), Rules())]
