"""Float32 searches that propose neighbours; which of them are right is decided in `lists.py`.

faiss's flat index and torch in blocks do the same arithmetic, the inverted file on fewer rows. Each adds
its float32 sums in a different order, so scores differ in the last bits and near ties are ordered differently: nothing
downstream uses them as distances.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError
from itkm_core.neighbors.kernels import map_blocks
from itkm_core.neighbors.products import BLOCK_QUERIES, TILE_ROWS, products, readable
from itkm_core.neighbors.topk import Best

Backend = Literal["faiss-flat", "torch", "ivf"]
"""Exact with faiss, exact with torch, approximate (`inverted.py`)."""

APPROXIMATE_FROM = 200_000
"""Rows from which "auto" is "ivf": exact search costs their square. docs/labelling.md has the times. [ours]"""

APPROXIMATE_FROM_ON_DEVICE = 3_000_000
"""The same where an accelerator searches: by arithmetic (3e6^2 x 128 products at 30 TFLOP/s are a minute), not by
measurement. [ours]"""

TORCH_FROM = 30_000
"""Rows from which "auto" is "torch": faiss loads at once; torch takes two seconds to load, and then two thirds of
the time per row. [ours]"""

BLOCK_BYTES = 64 << 20
"""Scores a block of the searches that hold whole rows of them may take. [ours]"""

BLOCK_ROWS = 1024
"""Query rows a faiss thread takes at a time: large enough for the matrix product to run at full rate. [ours]"""

DEVICE_QUERIES, DEVICE_ROWS = 4096, 65_536
"""Scores an accelerator makes at a time: a gigabyte, in which its matrix units are busy. [ours]"""

Result = TypeVar("Result")


def resolve_backend(backend: str, num_rows: int, device: str | None = None) -> Backend:
    """The backend to use for so many rows; "auto" chooses by their number and by whether a `device` searches.

    Raises ConfigError for another name, and for "faiss-flat" where faiss is not installed.
    """
    if backend == "torch":
        return "torch"
    if backend == "ivf":
        return "ivf"
    if backend not in ("auto", "faiss-flat"):
        raise ConfigError(f"backend is {backend!r}; expected auto, faiss-flat, torch or ivf")
    installed = importlib.util.find_spec("faiss") is not None
    if backend == "faiss-flat":
        if not installed:
            raise ConfigError(
                "backend is 'faiss-flat' and faiss is not installed: install itkm[cpu] or itkm[gpu], "
                "not both, or use 'torch'"
            )
        return "faiss-flat"
    if num_rows >= (APPROXIMATE_FROM if device is None else APPROXIMATE_FROM_ON_DEVICE):
        return "ivf"
    if device is not None:
        return "torch"
    return "faiss-flat" if installed and num_rows < TORCH_FROM else "torch"


def search(
    rows: npt.NDArray[np.float32],
    width: int,
    backend: Literal["faiss-flat", "torch"],
    num_threads: int,
    use: Callable[[int, npt.NDArray[np.float32], npt.NDArray[np.int32]], Result],
    queries: npt.NDArray[np.float32] | None = None,
    device: str | None = None,
) -> list[Result]:
    """Propose, for every query (without `queries`: every row), the `width` rows of largest float32 dot product.

    Calls `use(start, scores, indices)` for consecutive blocks of queries, [B, width] each, best first, on several
    threads at once; returns what it returned, in order of the blocks. No block outlives its call. `device`: where
    torch searches; None: on the processor.
    """
    queries = rows if queries is None else queries
    if backend == "faiss-flat":
        return _search_faiss(queries, rows, width, num_threads, use)
    if device is not None:
        return _search_device(queries, rows, width, device, num_threads, use)
    return _search_torch(queries, rows, width, num_threads, use)


def _search_faiss(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    width: int,
    num_threads: int,
    use: Callable[..., Result],
) -> list[Result]:
    """The search of IndexFlatIP without the index's copy of the rows, in blocks of queries.

    Each of our threads runs its blocks with one OpenMP thread: no two wait for each other, which on cores
    shared with other work is several times faster than OpenMP's own split.
    """
    import faiss

    def block(start: int, stop: int) -> Result:
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # of the calling thread only
        try:
            scores, indices = faiss.knn(
                queries[start:stop], rows, width, metric=faiss.METRIC_INNER_PRODUCT
            )
        finally:
            faiss.omp_set_num_threads(before)
        return use(start, scores, indices.astype(np.int32))

    return map_blocks(block, len(queries), BLOCK_ROWS, num_threads)


def _search_torch(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    width: int,
    num_threads: int,
    use: Callable[..., Result],
) -> list[Result]:
    """One product at a time, each small enough for a core's cache, keeping the best of each query."""
    with products() as product:

        def block(start: int, stop: int) -> Result:
            best = Best(stop - start, width)
            for first in range(0, len(rows), TILE_ROWS):
                scores = product(queries[start:stop], rows[first : first + TILE_ROWS])
                best.offer(scores, first)
            return use(start, *best.take())

        return map_blocks(block, len(queries), BLOCK_QUERIES, num_threads)


def _search_device(
    queries: npt.NDArray[np.float32],
    rows: npt.NDArray[np.float32],
    width: int,
    device: str,
    num_threads: int,
    use: Callable[..., Result],
) -> list[Result]:
    """The search with the rows in the accelerator's memory; `use` runs on the processor meanwhile.

    Products in full float32: lower precision would leave most lists to the float64 search that vouches for them.
    """
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode(), ThreadPoolExecutor(num_threads, "itkm-clustering") as pool:
            there = torch.from_numpy(readable(rows)).to(device)
            found = []
            for start in range(0, len(queries), DEVICE_QUERIES):
                part = readable(queries[start : start + DEVICE_QUERIES])
                asking = torch.from_numpy(part).to(device)
                best = torch.empty((len(part), 0), device=device)
                places = torch.empty((len(part), 0), dtype=torch.int64, device=device)
                for first in range(0, len(rows), DEVICE_ROWS):
                    scores = asking @ there[first : first + DEVICE_ROWS].T
                    scores, at = scores.topk(min(width, scores.shape[1]))
                    best, places = torch.cat([best, scores], 1), torch.cat([places, at + first], 1)
                    best, kept = best.topk(min(width, best.shape[1]))
                    places = places.gather(1, kept)
                candidates = places.to(torch.int32).cpu().numpy()
                found.append(pool.submit(use, start, best.cpu().numpy(), candidates))
            return [each.result() for each in found]
    finally:
        torch.set_float32_matmul_precision(precision)
