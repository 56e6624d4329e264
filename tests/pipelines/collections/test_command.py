"""`itkm collections`."""

from __future__ import annotations

import io

import pytest

from itkm_core.collections.known import COLLECTIONS
from itkm_core.errors import ConfigError
from pipelines.collections.command import show
from pipelines.console import Console


def printed(name: str | None) -> str:
    console = Console(file=io.StringIO(), width=80)
    show(console, name)
    return console.file.getvalue()


def test_all_are_listed_at_80_columns() -> None:
    text = printed(None)
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in COLLECTIONS)


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_one_says_how_its_folder_must_look_and_its_terms(name: str) -> None:
    text, collection = printed(name), COLLECTIONS[name]
    for wanted in (collection.title, collection.licence, collection.owner, collection.paper):
        assert wanted in text
    assert all(f"  {line}" in text for line in collection.layout.splitlines())
    assert f"itkm ingest --as {name} FOLDER" in text
    for count in collection.expected:
        assert count.images is None or f"{count.images:,}" in text


def test_another_name_is_one_line_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"no collection 'dukemtmc'; expected one of .*market1501"
    ):
        show(Console(file=io.StringIO()), "dukemtmc")
