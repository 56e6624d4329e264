"""What a step's process reports to the board: images done, and its memory."""

from __future__ import annotations

import resource
import sys
import time

from pipelines.telemetry.handle import Telemetry


class Meter:
    """Counts images and reports them about once a second: a call per batch would slow the step down."""

    EVERY = 1.0

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._unsent, self._sent = 0, time.monotonic()

    def add(self, count: int, note: str = "") -> bool:
        """Count; True if the board was told just now."""
        self._unsent += count
        if time.monotonic() - self._sent < self.EVERY:
            return False
        self.telemetry.advance(self._unsent, note, peak_memory())
        self._unsent, self._sent = 0, time.monotonic()
        return True


def peak_memory() -> dict[str, int]:
    """Peak memory of this process so far, in bytes: `host` (resident), and `device` if it uses a GPU."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    torch = sys.modules.get("torch")  # importing takes seconds, and without it no GPU was used
    if torch is not None and torch.cuda.is_available():
        peak["device"] = int(torch.cuda.max_memory_allocated())
    return peak
