"""Who computes a step of the labelling: the threads of this process, or tasks on many machines. [ours]

A step is a function `step(*arguments, start, stop, threads)` of a span of rows, defined at the top of a module so that
it can be sent. Its result depends neither on how the rows are divided nor on the threads, so the labels are the same to
the last bit whoever computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from itkm_core.neighbors.kernels import Array

Result = TypeVar("Result")


class Workers(Protocol):
    """Computes spans of rows. `threads`: of one span, and of work that is not divided.

    `device`: the accelerator that this process may search on, as torch names it; None: none.
    """

    @property
    def threads(self) -> int: ...

    @property
    def device(self) -> str | None: ...

    def share(self, array: Array) -> Any:
        """A stand-in for an array among a step's arguments: the array is sent once per machine, not once per span."""
        ...

    def spans(
        self, step: Callable[..., Result], num_rows: int, multiple: int, *arguments: Any
    ) -> list[Result]:
        """The step of consecutive spans of all rows, in order; all but the last a multiple of `multiple` rows."""
        ...


@dataclass(frozen=True)
class Threads:
    """This process: all rows are one span."""

    threads: int
    device: str | None = None

    def share(self, array: Array) -> Array:
        return array

    def spans(
        self, step: Callable[..., Result], num_rows: int, multiple: int, *arguments: Any
    ) -> list[Result]:
        return [step(*arguments, 0, num_rows, self.threads)]


def joined_each(parts: Sequence[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Spans or blocks of several arrays of rows as one of each."""
    return tuple(joined(each) for each in zip(*parts, strict=True))


def joined(parts: Sequence[Array]) -> Array:
    """Spans or blocks of rows as one array; no copy of a single one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
