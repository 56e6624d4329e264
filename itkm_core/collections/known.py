"""The public collections that have a reader of their own, by the name that `--as` takes."""

from __future__ import annotations

from itkm_core.collections import (
    caviar,
    cuhk03,
    llcm,
    ltcc,
    market1501,
    mars,
    mlr_cuhk03,
    mlr_market1501,
    msmt17,
    prcc,
    regdb,
    sysu_mm01,
    vc_clothes,
)
from itkm_core.collections.collection import Collection
from itkm_core.collections.listing import Listing

_MODULES = (
    sysu_mm01,
    regdb,
    llcm,
    ltcc,
    prcc,
    vc_clothes,
    mlr_cuhk03,
    mlr_market1501,
    caviar,
    market1501,
    msmt17,
    cuhk03,
    mars,
    # A new collection is one module, and its line here.
)

COLLECTIONS: dict[str, Collection] = {
    module.COLLECTION.name: module.COLLECTION for module in _MODULES
}


def list_collection(
    name: str, root: str, scenario: str | None = None, variant: str | None = None
) -> Listing:
    """The pictures of a collection as published.

    scenario: by default the collection's name. variant: one of the collection's, by default its first.

    Raises:
        CorpusError: `root` does not hold it.
    """
    collection = COLLECTIONS[name]
    chosen = variant or next(iter(collection.variants), "")
    return collection.read(root, scenario or collection.name, chosen)
