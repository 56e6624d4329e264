"""What the trainers use of torch.distributed; without a process group there is one worker."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from itkm_core.errors import TrainingError


def is_distributed() -> bool:
    """Whether this process is one of several workers."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank_and_world() -> tuple[int, int]:
    """This worker's number, from 0, and the number of workers."""
    return (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)


def wrap(model: nn.Module) -> nn.Module:
    """The model under DistributedDataParallel; unchanged if there is only one worker."""
    if not is_distributed() or isinstance(model, DistributedDataParallel):
        return model
    return DistributedDataParallel(model, gradient_as_bucket_view=True)


def unwrap(model: nn.Module) -> Any:
    """The model without its DistributedDataParallel."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def without_gradient_sync(model: nn.Module, enabled: bool) -> AbstractContextManager[None]:
    """A context in which backward passes only accumulate locally, where `enabled`."""
    if enabled and isinstance(model, DistributedDataParallel):
        return model.no_sync()
    return nullcontext()


def sum_over_workers(values: Tensor) -> Tensor:
    """The sum of every worker's `values`, the same on all of them."""
    if is_distributed():
        values = values.clone()
        dist.all_reduce(values)
    return values


def gather_rows(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Every worker's rows, in order of rank, on every worker; gradients do not pass.

    Args:
        rows: [b, ...], b may differ between workers, and be 0.
        sizes: each worker's b.

    Returns:
        [sum of b, ...], bit-identical on all workers.

    Raises:
        TrainingError: `sizes` has another b for this worker.
    """
    rows = rows.detach()
    if not is_distributed():
        return rows
    rank, world = rank_and_world()
    if len(sizes) != world or sizes[rank] != len(rows):
        raise TrainingError(
            f"worker {rank} of {world} has {len(rows)} rows and was told {list(sizes)}: expected "
            "its own count at its place"
        )
    # Collectives move equal shapes: shorter parts are padded, and the padding is cut off again.
    padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
