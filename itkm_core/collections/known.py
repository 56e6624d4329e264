"""The public collections that have a reader of their own, by the name that `--as` takes."""

from __future__ import annotations

from itkm_core.collections import (
    caviar,
    ltcc,
    market1501,
    mars,
    mlr_cuhk03,
    mlr_market1501,
    prcc,
    sysu_mm01,
    vc_clothes,
)
from itkm_core.collections.collection import Collection
from itkm_core.collections.listing import Listing

_MODULES = (
    market1501,
    sysu_mm01,
    ltcc,
    prcc,
    vc_clothes,
    mlr_cuhk03,
    mlr_market1501,
    caviar,
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
