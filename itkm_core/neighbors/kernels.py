"""Compiled kernels and the threads that run them over blocks of rows. [ours]

Kernels are single-threaded machine code that releases the GIL; threads come from the standard library. So
concurrent calls from two Python threads, or calls after a fork, are safe, which numba's own thread pools do not
promise, and a kernel's block of rows is also the unit that several machines can share.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError

Array = npt.NDArray[Any]
"""An array inside a kernel; the docstring of the function that calls it says what it holds."""

Result = TypeVar("Result")


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` with numba on its first call; keep the machine code on disk where possible.

    A read-only installation, a missing home folder or a full disk costs the compile time of each process
    (seconds), but does not fail. Kernels that call each other are in one file: numba only checks the date of a
    kernel's own file.
    """
    try:
        compiled = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder to keep the machine code in
        return numba.njit(nogil=True, error_model="numpy")(function)
    cache = compiled._cache
    save = cache.save_overload

    def save_if_possible(*arguments: Any) -> None:
        try:
            save(*arguments)
        except OSError:
            cache.disable()

    cache.save_overload = save_if_possible
    return compiled


def thread_count(requested: int | None = None) -> int:
    """Threads to use: `requested`, else OMP_NUM_THREADS (which Ray sets), else the usable cores.

    Raises ConfigError for a request below 1.
    """
    if requested is not None:
        if isinstance(requested, bool) or not isinstance(requested, int) or requested < 1:
            raise ConfigError(f"num_threads is {requested!r}; expected an integer of at least 1")
        return requested
    configured = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if configured.isdecimal() and int(configured) > 0:
        return int(configured)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def map_blocks(
    function: Callable[[int, int], Result], num_rows: int, block_rows: int, num_threads: int
) -> list[Result]:
    """`[function(start, stop), ...]` over consecutive blocks of rows, in order, on `num_threads` threads.

    `function` must not depend on how the rows are cut: then neither does the result on the thread count.
    """
    block_rows = max(1, block_rows)
    blocks = [(a, min(a + block_rows, num_rows)) for a in range(0, num_rows, block_rows)]
    if num_threads == 1 or len(blocks) <= 1:
        return [function(start, stop) for start, stop in blocks]
    with ThreadPoolExecutor(min(num_threads, len(blocks)), "itkm-clustering") as pool:
        return list(pool.map(lambda block: function(*block), blocks))


def span_in_blocks(
    kernel_of_rows: Callable[..., Any],
    num_rows: int,
    start: int,
    stop: int,
    num_threads: int,
    *arguments: Any,
) -> Any:
    """`kernel_of_rows(*arguments, a, b)` over blocks of the rows start..stop of `num_rows`, as one array or several.

    The kernel clears an array of all rows first, so blocks are not small.
    """
    parts = map_blocks(
        lambda a, b: kernel_of_rows(*arguments, start + a, start + b),
        stop - start,
        scratch_block(num_rows),
        num_threads,
    )
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))
    return np.concatenate(parts)


def scratch_block(num_rows: int) -> int:
    """Rows a block takes whose kernel clears an array of `num_rows` first: at most 128 such arrays in all."""
    return max(1024, -(-num_rows // 128))
