"""Every collection has a protocol, and what a corpus lacks is not asked."""

from __future__ import annotations

import pytest
from naive_protocol import as_tested, make_images

from itkm_core.collections.known import COLLECTIONS
from itkm_core.errors import CorpusError
from itkm_core.evaluation.protocols.known import PROTOCOLS, settings_of


def test_every_collection_has_one() -> None:
    assert {collection.protocol for collection in COLLECTIONS.values()} <= PROTOCOLS.keys()


def test_settings_without_queries_or_gallery_are_left_out() -> None:
    images, _ = make_images([(1, 3, "query"), (0, 4, "gallery")], few=1)
    names = [setting.name for setting in settings_of("sysu-mm01", as_tested(images))]
    assert names == ["all-search single-shot", "all-search 10-shot"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_of_no_images_has_no_settings(protocol: str) -> None:
    assert settings_of(protocol, as_tested([])) == []


def test_an_unknown_one_is_one_clear_line() -> None:
    with pytest.raises(
        CorpusError, match=r"protocol 'duke', this itkm knows sysu-mm01, .*ingest it"
    ):
        settings_of("duke", as_tested([]))
