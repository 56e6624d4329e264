"""`itkm collections`: the public collections that itkm reads as published."""

from __future__ import annotations

from itkm_core.collections.known import COLLECTIONS
from itkm_core.errors import ConfigError
from pipelines.collections.tables import all_table, counts_table, lines_of
from pipelines.console import Console


def show(console: Console, name: str | None) -> None:
    """Print all collections, or how the folder of one must look and what is known of it.

    Raises:
        ConfigError: there is no such collection.
    """
    if name is None:
        console.print(all_table(sorted(COLLECTIONS.items())))
        console.print("itkm collections NAME  says how its folder must look, and its terms")
        return
    if name not in COLLECTIONS:
        raise ConfigError(
            f"no collection {name!r}; expected one of {', '.join(sorted(COLLECTIONS))}. Read others by "
            "--as folder, with a pattern or a manifest (docs/corpus.md)"
        )
    collection = COLLECTIONS[name]
    for line in lines_of(collection):
        console.print(line)
    console.print(counts_table(collection))
