"""The most memory this process has held, for manifests and gauges."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.telemetry.handle import Telemetry


def peak_memory() -> dict[str, int]:
    """The most this process has held so far, in bytes: `host` (resident), and `device` where it uses a GPU."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    torch = sys.modules.get("torch")  # seconds to import, and without it no GPU was used
    if torch is not None and torch.cuda.is_available():
        peak["device"] = int(torch.cuda.max_memory_allocated())
    return peak


def measured(function: Callable[..., Any], step: str, telemetry: Telemetry, *arguments: Any) -> Any:
    """`function(*arguments)` as the body of a Ray task, which tells the board of its process's peak."""
    try:
        return function(*arguments)
    finally:
        telemetry.memory(step, peak_memory())
