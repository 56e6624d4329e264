"""The progress line that shows the board."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import ray
from rich.live import Live
from rich.text import Text

from pipelines.console import Console
from pipelines.telemetry.handle import Telemetry


class ProgressDisplay:
    """Shows the board while a `with` block runs: a live line on a terminal, elsewhere a line now and then."""

    def __init__(
        self, telemetry: Telemetry, console: Console, *, plain_every: float = 10.0
    ) -> None:
        self.telemetry, self.console, self.plain_every = telemetry, console, plain_every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="itkm-progress")

    def __enter__(self) -> ProgressDisplay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        live = Live(Text(""), console=self.console, transient=True, refresh_per_second=4)
        terminal = self.console.is_terminal
        last_line, last_time = "", time.monotonic()
        if terminal:
            live.start()
        try:
            while not self._stop.wait(0.5):
                try:
                    snapshot = self.telemetry.snapshot()
                except (ray.exceptions.RayError, ValueError):
                    continue  # the board is busy or the run is ending; the next look may succeed
                line = describe(*snapshot) if snapshot else ""
                if terminal:
                    live.update(Text(line))
                elif line and line != last_line and time.monotonic() - last_time > self.plain_every:
                    self.console.print(line)
                    last_line, last_time = line, time.monotonic()
        finally:
            if terminal:
                live.stop()


def describe(step: str, done: int, total: int, note: str, seconds: float) -> str:
    """One line of progress, such as `  round 1 train  1,920/5,760 images  33 %  loss 2.31`."""
    if not step:
        return ""
    parts = [f"  {step}"]
    if total:
        parts.append(f"{done:,}/{total:,} images {100 * done / total:3.0f} %")
    parts.append(note or (f"starting, {seconds:.0f} s" if not done else ""))
    return "  ".join(part for part in parts if part)
