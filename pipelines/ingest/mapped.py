"""How a pass over pictures runs on Ray Data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.faults import unwrapped

Report = Callable[[int, int], None]
"""Called with (pictures done, pictures in total)."""


def cluster_cpus() -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def in_one_list(table: pa.Table) -> pa.ListArray:
    """A column of one row, which holds all of the table."""
    values = table.combine_chunks().to_struct_array().combine_chunks()
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def mapped(
    tables: Sequence[pa.Table],
    step: Callable[..., pa.Table],
    batch_size: int | None,
    **arguments: Any,
) -> Iterator[pa.Table]:
    """`step(batch, **arguments)` of all batches, on Ray Data without its own bars: progress goes through `report`."""
    import ray.data

    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = False
    context.raise_original_map_exception = True  # Ray Data's own would lose it
    try:
        dataset = ray.data.from_arrow(tables).map_batches(
            step, batch_size=batch_size, batch_format="pyarrow", fn_kwargs=arguments
        )
        with unwrapped():
            yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow")
    finally:
        context.enable_progress_bars = before
