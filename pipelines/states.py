"""State of an optimizer and the like in a checkpoint: a `.pt` file, read as tensors and plain values only."""

from __future__ import annotations

import io
from typing import Any

from itkm_core.errors import StorageError


def read_state(data: bytes, name: str) -> Any:
    """What `torch.save` wrote, on the CPU. Nothing in the file is executed: a pickle with code in it is refused.

    name: the file, for the error.

    Raises:
        StorageError: the file is damaged, or holds anything but tensors and plain values.
    """
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes surface as any of a dozen types
        said = " ".join(str(error).split())[:200]
        # No TrainingError: all workers would come to that at the same step, this may be one machine's disk.
        raise StorageError(
            f"{name} is damaged, or holds more than tensors and plain values, and was not read ({said}): delete the "
            "step's folder to do it again"
        ) from error
