"""One actor that knows how far the run is: live progress for the terminal, gauges for Prometheus.

A Ray gauge vanishes with the process that set it, and a training worker lives for one round. So all gauges are
set in this one actor, which lives as long as the run. Ray 2.60 also exports a gauge only if it was set since the
previous export (every 10 s), and forgets it 20 s after it was last set, so all gauges are set again every second.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping

from ray.util.metrics import Gauge

from pipelines.telemetry.gauges import GAUGES

REFRESH = 1.0  # seconds: Ray can be told to export as often

Tags = tuple[tuple[str, str], ...]


class Board:
    """The actor's body. A step goes by its line, such as `round-002 train`, whose last word is its kind."""

    def __init__(self) -> None:
        self.gauges = {
            name: Gauge(name, description=text, tag_keys=tags)
            for name, (text, tags) in GAUGES.items()
        }
        self.values: dict[tuple[str, Tags], float] = {}
        self.running: Counter[str] = Counter()
        self.peaks: dict[tuple[str, str], float] = {}
        self.begin("", 0)

    def enter(self, step: str) -> None:
        self.running[step] += 1
        self._show_running(step)
        if not self.step:
            self.begin(step, 0)

    def leave(self, step: str) -> None:
        """When the last step with this line ends, another running step gets the display."""
        self.running[step] -= 1
        self._show_running(step)
        if self.running[step] <= 0 and self.step == step:
            if self.done:
                self.set("itkm_images_per_second", 0, step=kind_of(step))
            self.begin(next((name for name, count in self.running.items() if count > 0), ""), 0)

    def begin(self, step: str, total: int) -> None:
        self.step, self.done, self.first, self.total, self.note = step, 0, 0, total, ""
        self.since = time.monotonic()
        self._alive()

    def advance(self, count: int, note: str, memory: Mapping[str, float]) -> None:
        if not self.total:
            return  # late news of a step that has ended
        if self.done == 0:
            self.since = time.monotonic()  # the rate leaves out the workers' start
            self.first = count
        self.done += count
        self.note = note or self.note
        seconds = time.monotonic() - self.since
        kind = kind_of(self.step)
        if seconds > 0 and self.done > self.first:
            self.set("itkm_images_per_second", (self.done - self.first) / seconds, step=kind)
        self.memory(kind, memory)

    def tell(self, kind: str, note: str) -> None:
        """Show a note on the line, if the step shown is of this kind."""
        if kind_of(self.step) == kind:
            self.note = note
        self._alive()

    def memory(self, step: str, peaks: Mapping[str, float]) -> None:
        for kind, value in peaks.items():
            peak = self.peaks[step, kind] = max(value, self.peaks.get((step, kind), 0))
            self.set("itkm_memory_bytes", peak, step=step, kind=kind)

    def set(self, name: str, value: float, **tags: str) -> None:
        self._set(name, value, tags)
        self._alive()

    def refresh(self) -> None:
        """Set every gauge again to its value."""
        for (name, tags), value in list(self.values.items()):
            self.gauges[name].set(value, tags=dict(tags))

    def keep_fresh(self) -> None:
        """`refresh` every second from now on."""

        def keep() -> None:
            while True:
                self.refresh()
                time.sleep(REFRESH)

        threading.Thread(target=keep, daemon=True, name="gauges").start()

    def snapshot(self) -> tuple[str, int, int, str, float]:
        return self.step, self.done, self.total, self.note, time.monotonic() - self.since

    def _show_running(self, step: str) -> None:
        kind = kind_of(step)
        count = sum(count for line, count in self.running.items() if kind_of(line) == kind)
        self.set("itkm_steps_running", count, step=kind)

    def _alive(self) -> None:
        self._set("itkm_last_progress_timestamp_seconds", time.time(), {})

    def _set(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        self.gauges[name].set(value, tags=dict(tags))
        self.values[name, tuple(sorted(tags.items()))] = value


def kind_of(line: str) -> str:
    """`train` of `round-002 train`."""
    return line.rpartition(" ")[2]
