from __future__ import annotations

import re
from pathlib import Path

import pytest

from itkm_core.collections.collection import Collection
from itkm_core.collections.known import COLLECTIONS
from itkm_core.evaluation.protocols.known import PROTOCOLS

PAGE = Path(__file__).parents[3] / "docs" / "collections.md"


def test_the_page_has_a_row_for_every_collection() -> None:
    rows = re.findall(r"^\| `([a-z][a-z0-9-]*)` \|", PAGE.read_text(), flags=re.MULTILINE)
    assert sorted(rows) == sorted(COLLECTIONS)


@pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=list(COLLECTIONS))
def test_what_is_known_of_a_collection_is_complete(collection: Collection) -> None:
    texts = (collection.owner, collection.paper, collection.licence, collection.measures)
    assert all(texts)
    assert collection.protocol in PROTOCOLS
    assert collection.sources
    assert all(source.startswith(("https://", "http://")) for source in collection.sources)
    assert {count.variant for count in collection.expected} <= {"", *collection.variants}
