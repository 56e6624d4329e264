"""LTCC (Qian et al., ACCV 2020): the same people weeks apart, with and without a change of clothes.

Both settings ask all query images of all test images. Standard: images of the query's person by its camera are left
out. Cloth-changing: also images of the query's person in its clothes, by whatever camera. Queries without a match
left are skipped. Confirmed in https://github.com/QizaoWang/FIRe-CCReID (evaluate/metrics_for_cc.py), written with
authors of the collection, and the same in https://github.com/guxinqian/Simple-CCReID (tools/eval_metrics.py) and the
README of https://github.com/jinx-ustc/gi-reid.

Where public codes differ: some test cloth-changing on those people alone who change their clothes
(https://github.com/MingkunLishigure/SiCL/issues/3), which takes the others out of the gallery.
"""

from __future__ import annotations

from itkm_core.evaluation.protocols.setting import Setting, Tested, within
from itkm_core.evaluation.rules import Rules


def settings(tested: Tested) -> list[Setting]:
    """Cloth-changing and standard."""
    query, gallery = tested.rows("query"), tested.rows("gallery")
    return [
        within(tested, "cloth-changing", query, gallery, Rules(same_clothes=True)),
        within(tested, "standard", query, gallery, Rules()),
    ]
