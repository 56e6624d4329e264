"""Names of blocks, the (scenario, group) pairs of a run."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import pyarrow as pa


def block_names(tables: Sequence[pa.Table]) -> list[str]:
    """`scenario/group` of each label table."""
    return [f"{table['scenario'][0]}/{table['group'][0]}" for table in tables]


UNGROUPED = "features"
"""The one group of images that have no scenario and no group."""


def name_of(scenario: str, group: int) -> str:
    return f"{scenario}/{group}" if scenario else UNGROUPED


def folder_of(name: str) -> str:
    """The folder of a group's files."""
    scenario, _, group = name.rpartition("/")
    return f"{quote(scenario, safe='')}-{group}" if scenario else name


def block_name(scenario: str, group: int) -> str:
    """A block's part of the file names in a prompts step."""
    return f"{quote(scenario, safe='')}-{group}"
