"""Blocks, the (scenario, group) pairs of a run, and their names."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import pyarrow as pa


class Block(NamedTuple):
    """The images of one group of one scenario, which are labelled together."""

    scenario: str
    group: int

    @classmethod
    def of(cls, labels: pa.Table) -> Block:
        """The block of a label table of one block, by its first row."""
        return cls(labels["scenario"][0].as_py(), labels["group"][0].as_py())

    @property
    def name(self) -> str:
        """As in "uvi/1": in messages, in JSON, and in the configuration."""
        return f"{self.scenario}/{self.group}" if self.scenario else "features"

    @property
    def file_name(self) -> str:
        """The block's folder, or its part of a file's name."""
        return f"{quote(self.scenario, safe='')}-{self.group}" if self.scenario else self.name

    @property
    def opposite(self) -> Block:
        """The other group of the scenario."""
        return Block(self.scenario, 1 - self.group)


UNGROUPED = Block("", -1)
"""The one block of images whose scenario and group are not known."""
