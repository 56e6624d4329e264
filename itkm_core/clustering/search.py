"""Float32 searches that propose neighbours; which of them are right is decided in `neighbors.py`.

faiss's flat index and torch in blocks do the same arithmetic. Their scores are float32 sums in an order of
their own, so they differ in the last bits and order near ties differently: nothing downstream uses them as
distances.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from itkm_core.clustering.compiled import map_blocks
from itkm_core.errors import ConfigError

Backend = Literal["auto", "faiss", "torch"]
BLOCK_BYTES = 64 << 20
"""Scores a block of the searches that hold whole rows of them may take. [ours]"""

BLOCK_ROWS = 1024
"""Query rows a faiss thread takes at a time: large enough for the matrix product to run at full rate. [ours]"""

Result = TypeVar("Result")


def resolve_backend(backend: str) -> Literal["faiss", "torch"]:
    """The backend to use: "auto" is faiss where it is installed, else torch (slower), which warns once.

    Raises ConfigError for another name, and for "faiss" where it is not installed.
    """
    if backend not in ("auto", "faiss", "torch"):
        raise ConfigError(f"backend is {backend!r}; expected auto, faiss or torch")
    if backend == "torch":
        return "torch"
    if importlib.util.find_spec("faiss") is not None:
        return "faiss"
    install = "install itkm[cpu] or itkm[gpu], not both"
    if backend == "faiss":
        raise ConfigError(f"backend is 'faiss', which is not installed: {install}, or use 'torch'")
    warnings.warn(
        f"faiss is not installed: searching neighbours with torch, slower; {install}", stacklevel=2
    )
    return "torch"


def search(
    rows: npt.NDArray[np.float32],
    width: int,
    backend: Literal["faiss", "torch"],
    num_threads: int,
    use: Callable[[int, npt.NDArray[np.float32], npt.NDArray[np.int32]], Result],
    queries: npt.NDArray[np.float32] | None = None,
) -> list[Result]:
    """Propose, for every query (without `queries`: every row), the `width` rows of largest float32 dot product.

    Calls `use(start, scores, indices)` for consecutive blocks of queries, [B, width] each, best first, on several
    threads at once; returns what it returned, in order of the blocks. No block outlives its call.
    """
    queries = rows if queries is None else queries
    if backend == "faiss":
        return _search_faiss(queries, rows, width, num_threads, use)
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
    import torch

    block = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (4 * len(rows))))
    # torch takes a writable array only; it is read, never written.
    all_rows, asking = (
        torch.from_numpy(array if array.flags.writeable else array.copy())
        for array in (rows, queries)
    )
    results = []
    with torch.inference_mode(), _exact_torch(torch, num_threads):
        for start in range(0, len(queries), block):
            best = (asking[start : start + block] @ all_rows.T).topk(width)
            results.append(use(start, best.values.numpy(), best.indices.to(torch.int32).numpy()))
    return results


@contextmanager
def _exact_torch(torch: Any, num_threads: int) -> Iterator[None]:
    """`num_threads` threads and full float32 products inside, the process's own settings again after."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(num_threads)
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
