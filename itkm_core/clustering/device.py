"""The encoding and the pairs of the Jaccard graph in torch, on the accelerator that found the neighbours. [ours]

Suffixes: N images, k list entries, B rows of a block.

What `neighbors/reciprocal.py` and `jaccard.py` do row by row in compiled loops is done here on blocks of rows, as
comparisons of small lists, sorts and sums of runs, which accelerators are good at. Sums add the same numbers in the
same order; only a cosine's sum and the exponential differ from the CPU's, in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from itkm_core.neighbors.csr import Csr, row_starts
from itkm_core.neighbors.kernels import Array
from itkm_core.neighbors.products import readable
from itkm_core.neighbors.sparse_rows import SparseRows

BLOCK_ENTRIES = 1 << 23
"""Comparisons, or terms of sums, of a block: under a gigabyte on the device. [ours]"""

Result = TypeVar("Result")

Tensor = Any  # torch is only loaded where there is a device


def or_none(compute: Callable[..., Result], *arguments: Any) -> Result | None:
    """What a step on a device returns; None where the device lacks the memory for it."""
    import torch

    try:
        return compute(*arguments)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def encode_on_device(
    rows: npt.NDArray[np.float32], lists: npt.NDArray[np.int32], k2: int, device: str
) -> SparseRows:
    """As `encoding.encode`, in the order of the images; `device` as torch names it."""
    import torch

    half = min(round(lists.shape[1] / 2) + 1, lists.shape[1])
    with torch.inference_mode():
        listed = torch.from_numpy(readable(lists)).to(device).long()
        back = _ranks_in_return(listed)
        sizes, columns = _expanded_sets(listed, back, half)
        values = _weights(torch.from_numpy(readable(rows)).to(device), sizes, columns)
        if k2 > 1:
            sizes, columns, values = _mean_rows(sizes, columns, values, listed[:, :k2])
        listed_columns = Csr(row_starts(sizes.cpu().numpy()), columns.int().cpu().numpy())
        return SparseRows(listed_columns, values.cpu().numpy())


def pairs_on_device(
    row_start: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int32],
    values: npt.NDArray[np.float64],
    num_columns: int,
    threshold: float,
    device: str,
) -> tuple[Array, ...]:
    """Of each row of T the later rows within the threshold, as the graph's step.

    Sizes int64 [T], rows int32 (ascending) and distances float64.
    """
    import torch

    num_rows = len(row_start) - 1
    found: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        start = torch.from_numpy(readable(row_start)).to(device)
        column = torch.from_numpy(readable(columns)).to(device).long()
        value = torch.from_numpy(readable(values)).to(device)
        owner = torch.repeat_interleave(torch.arange(num_rows, device=device), start.diff())
        # The transpose: the entries of a column side by side, its rows ascending.
        order = torch.sort(column, stable=True).indices
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=device)
        ends = torch.bincount(column, minlength=num_columns).cumsum(0)
        later = ends[column] - place - 1
        for first, last in _blocks_of(_sums_of(later, start), BLOCK_ENTRIES):
            entries = slice(int(start[first]), int(start[last]))
            count = later[entries]
            of = torch.repeat_interleave(torch.arange(len(count), device=device), count)
            partner = order[_ragged(place[entries] + 1, count)]
            shared = torch.minimum(value[entries][of], value[partner])
            pair = owner[entries][of] * num_rows + owner[partner]
            pair, overlap = _sums_of_equal(pair, shared)
            distance = (1.0 - overlap / (2.0 - overlap)).clamp_min(0.0)
            near = 1.0 - overlap / (2.0 - overlap) <= threshold
            pair, distance = pair[near], distance[near]
            sizes = torch.bincount(pair // num_rows - first, minlength=last - first)
            found.append((sizes.cpu(), (pair % num_rows).int().cpu(), distance.cpu()))
    if not found:
        return np.zeros(num_rows, np.int64), np.zeros(0, np.int32), np.zeros(0)
    return tuple(torch.cat(parts).numpy() for parts in zip(*found, strict=True))


def _ranks_in_return(listed: Tensor) -> Tensor:
    """[i, a]: the place of i in the list of its a-th neighbour, or k where it is not in it."""
    import torch

    num_rows, k = listed.shape
    back = torch.empty_like(listed)
    rows = torch.arange(num_rows, device=listed.device)
    for first, last in _even_blocks(num_rows, k * k):
        same = listed[listed[first:last]] == rows[first:last, None, None]
        back[first:last] = torch.where(same.any(-1), same.to(torch.uint8).argmax(-1), k)
    return back


def _expanded_sets(listed: Tensor, back: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """Sizes [N] and columns (ascending in each row) of the expanded R(i, k)."""
    import torch

    num_rows, k = listed.shape
    sizes, columns = [], []
    for first, last in _even_blocks(num_rows, k * half * k):
        own = listed[first:last]
        mutual = back[first:last] < k
        plain = torch.where(mutual, own, num_rows)
        offered = listed[own][:, :, :half]
        valid = back[own][:, :, :half] < half
        known = (offered[..., None] == plain[:, None, None, :]).any(-1) & valid
        taken = mutual & (3 * known.sum(-1) > 2 * valid.sum(-1))
        added = torch.where(taken[..., None] & valid, offered, num_rows)
        together = torch.cat([plain, added.flatten(1)], 1).sort(1).values
        once = together < num_rows
        once[:, 1:] &= together[:, 1:] != together[:, :-1]
        sizes.append(once.sum(1))
        columns.append(together[once])
    return torch.cat(sizes), torch.cat(columns)


def _weights(rows: Tensor, sizes: Tensor, columns: Tensor) -> Tensor:
    """Softmax over each row's columns of -(2 - 2 cos), float64."""
    import torch

    owner = torch.repeat_interleave(torch.arange(len(sizes), device=rows.device), sizes)
    values = torch.empty(len(columns), dtype=torch.float64, device=rows.device)
    for first, last in _even_blocks(len(columns), 4 * rows.shape[1]):
        pair = rows[owner[first:last]].double() * rows[columns[first:last]].double()
        values[first:last] = torch.exp(2.0 * pair.sum(1) - 2.0)
    return values / _sums_of_runs(values, sizes)[owner]


def _mean_rows(
    sizes: Tensor, columns: Tensor, values: Tensor, nearest: Tensor
) -> tuple[Tensor, ...]:
    """Each row becomes the mean of the rows `nearest` [N, k2]: sizes, columns, values."""
    import torch

    num_rows, k2 = nearest.shape
    start = sizes.cumsum(0) - sizes
    count = sizes[nearest]
    found = []
    for first, last in _blocks_of(count.sum(1).cpu().numpy(), BLOCK_ENTRIES):
        wide = count[first:last].flatten()
        at = _ragged(start[nearest[first:last]].flatten(), wide)
        row = torch.repeat_interleave(
            torch.arange(first, last, device=sizes.device), count[first:last].sum(1)
        )
        key, total = _sums_of_equal(row * num_rows + columns[at], values[at])
        own = torch.bincount(key // num_rows - first, minlength=last - first)
        found.append((own, key % num_rows, total / k2))
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def _sums_of_equal(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """The different keys, ascending, and the sum of the values of each, added in their order."""
    import torch

    keys, order = torch.sort(keys, stable=True)
    keys, counts = torch.unique_consecutive(keys, return_counts=True)
    if not len(keys):
        return keys, values
    return keys, _sums_of_runs(values[order], counts)


def _sums_of_runs(values: Tensor, lengths: Tensor) -> Tensor:
    """The sum of each run, added one by one: as a matrix of one column, since CUDA sums vectors as a tree."""
    import torch

    return torch.segment_reduce(values[:, None], "sum", lengths=lengths, axis=0)[:, 0]


def _ragged(start: Tensor, count: Tensor) -> Tensor:
    """start[0], start[0] + 1, ... count[0] of them; then those of start[1]; and so on."""
    import torch

    ends = count.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    shift = torch.repeat_interleave(start - (ends - count), count)
    return torch.arange(total, device=start.device) + shift


def _sums_of(entries: Tensor, start: Tensor) -> npt.NDArray[np.int64]:
    """Of each row the sum over its entries, int64."""
    import torch

    ends = torch.cat([entries.new_zeros(1), entries.cumsum(0)])[start]
    sums: npt.NDArray[np.int64] = ends.diff().cpu().numpy()
    return sums


def _blocks_of(costs: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Runs of rows whose costs sum to `most` at most, or of one row."""
    ends = np.cumsum(costs)
    first, spent = 0, 0
    while first < len(costs):
        last = max(int(np.searchsorted(ends, spent + most, side="right")), first + 1)
        yield first, last
        first, spent = last, int(ends[last - 1])


def _even_blocks(num_rows: int, cost: int) -> Iterator[tuple[int, int]]:
    """Runs of rows that each cost as much."""
    step = max(1, BLOCK_ENTRIES // cost)
    for first in range(0, num_rows, step):
        yield first, min(first + step, num_rows)
