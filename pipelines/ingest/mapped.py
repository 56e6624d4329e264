"""How a pass runs: over pictures on Ray Data, over spans and shards as tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from pipelines.faults import unwrapped

Report = Callable[[int, int], None]
"""Called with (pictures done, pictures in total)."""

IN_FLIGHT = 4
"""Tasks a CPU, so that none waits for the driver."""


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
    **arguments: Any,
) -> Iterator[pa.Table]:
    """`step(batch, **arguments)` of all tables, a batch each, on Ray Data, whose own bars are off."""
    import ray.data

    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars
    context.enable_progress_bars = False
    context.raise_original_map_exception = True  # Ray Data's own would lose it
    try:
        dataset = ray.data.from_arrow(tables).map_batches(
            step, batch_size=None, batch_format="pyarrow", fn_kwargs=arguments
        )
        with unwrapped():
            yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow")
    finally:
        context.enable_progress_bars = before


def by_tasks(
    title: str, tables: Iterable[pa.Table], step: Callable[..., pa.Table], **arguments: Any
) -> Iterator[pa.Table]:
    """`step(table, **arguments)` of each table as a Ray task named `title`, results as they come, tasks begun in order.

    For few and long ones: before the next block Ray Data leaves a CPU idle ten times as long as before the next task.
    """
    import ray

    from pipelines.steps.tasks import task_of

    task = task_of(step).options(num_cpus=1, name=title, max_retries=3)
    most = IN_FLIGHT * cluster_cpus()
    left = iter(tables)
    waiting = [task.remote(table, **arguments) for table in islice(left, most)]
    try:
        with unwrapped():
            while waiting:
                done, waiting = ray.wait(waiting, num_returns=1)
                waiting += [task.remote(table, **arguments) for table in islice(left, len(done))]
                yield from ray.get(done)
    finally:
        for each in waiting:  # after a fault
            ray.cancel(each)
