"""What `itkm collections` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from itkm_core.collections.collection import Collection


def all_table(collections: Iterable[tuple[str, Collection]]) -> Table:
    """A line a collection: its name for `--as`, its title, and what it measures."""
    table = Table(title="Collections that itkm reads as published", title_justify="left")
    for column in ("--as", "collection", "measures"):
        table.add_column(column, overflow="fold")
    for name, each in collections:
        table.add_row(name, each.title, each.measures)
    return table


def lines_of(collection: Collection) -> Iterator[str]:
    """What is known of a collection, and how its folder must look."""
    facts = {
        "paper": collection.paper,
        "owner": collection.owner,
        "terms": collection.licence,
        "measures": collection.measures,
        "protocol": collection.protocol,
        "variants": ", ".join(collection.variants),
        "not confirmed": collection.unconfirmed,
        "sources": "\n               ".join(collection.sources),
    }
    yield collection.title
    yield from (f"{name:<15}{text}" for name, text in facts.items() if text)
    yield ""
    yield "its folder:"
    yield from (f"  {line}" for line in collection.layout.splitlines())
    yield ""
    choice = " --variant VARIANT" if collection.variants else ""
    yield f"itkm ingest --as {collection.name} FOLDER{choice} --out CORPUS"
    yield ""


def counts_table(collection: Collection) -> Table:
    """Pictures and people of each part, as published."""
    table = Table(title="As published", title_justify="left")
    varies = any(count.variant for count in collection.expected)
    for column in (*(["variant"] if varies else []), "part", "images", "people"):
        table.add_column(column, justify="right" if column in ("images", "people") else "left")
    for count in collection.expected:
        numbers = ("" if n is None else f"{n:,}" for n in (count.images, count.persons))
        table.add_row(*([count.variant or "all"] if varies else []), count.label, *numbers)
    return table
