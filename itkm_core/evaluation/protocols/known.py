"""The protocols by name, as `Collection.protocol` has it."""

from __future__ import annotations

from collections.abc import Callable

from itkm_core.errors import CorpusError
from itkm_core.evaluation.protocols import (
    llcm,
    ltcc,
    market1501,
    mars,
    mlr,
    prcc,
    regdb,
    sysu_mm01,
    vc_clothes,
)
from itkm_core.evaluation.protocols.setting import Setting, Tested

PROTOCOLS: dict[str, Callable[[Tested], list[Setting]]] = {
    "sysu-mm01": sysu_mm01.settings,
    "regdb": regdb.settings,
    "llcm": llcm.settings,
    "ltcc": ltcc.settings,
    "prcc": prcc.settings,
    "vc-clothes": vc_clothes.settings,
    "mlr": mlr.settings,
    "market1501": market1501.settings,
    "mars": mars.settings,
}


def settings_of(protocol: str, tested: Tested) -> list[Setting]:
    """The settings of a protocol that have queries and a gallery in this corpus, the most quoted first.

    Raises:
        CorpusError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise CorpusError(
            f"the corpus is to be tested by the protocol {protocol!r}, this itkm knows {', '.join(PROTOCOLS)}: use the "
            "itkm that made it, or ingest it again"
        )
    settings = PROTOCOLS[protocol](tested)
    return [
        setting
        for setting in settings
        if setting.draws and all(len(rows) for draw in setting.draws for rows in draw)
    ]
