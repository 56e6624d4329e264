"""One actor that knows how far the run is: live progress for the terminal, gauges for Prometheus.

A Ray gauge vanishes with the process that set it, and a training worker lives for one round. So all
gauges are set in this one actor, which lives as long as the run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.metrics import Gauge
from rich.console import Console
from rich.live import Live
from rich.text import Text

# name -> (help with its unit, tags)
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "itkm_round": ("Round now running, counted from 1", ()),
    "itkm_clusters": ("Clusters of the newest pseudo-labels", ("scenario", "group")),
    "itkm_outlier_share": ("Share of images that are outliers, 0 to 1", ("scenario", "group")),
    "itkm_label_agreement": (
        "Adjusted mutual information with the round before, at most 1",
        ("scenario", "group"),
    ),
    "itkm_mutual_match_share": (
        "Share of the smaller group's clusters that are mutual best with their match, 0 to 1",
        ("scenario",),
    ),
    "itkm_loss": ("Training loss of the newest step, nats", ("term",)),
    "itkm_images_per_second": ("Images handled a second", ("step",)),
    "itkm_step_seconds": ("Seconds a finished step took", ("step",)),
}


class _Board:
    """The actor's body."""

    def __init__(self) -> None:
        self.gauges = {
            name: Gauge(name, description=text, tag_keys=tags)
            for name, (text, tags) in GAUGES.items()
        }
        self.running: Counter[str] = Counter()
        self.begin("", 0)

    def enter(self, step: str) -> None:
        self.running[step] += 1
        if not self.step:
            self.begin(step, 0)

    def leave(self, step: str) -> None:
        """The last of several steps of one name takes the line with it; another that runs gets it."""
        self.running[step] -= 1
        if self.running[step] <= 0 and self.step == step:
            self.begin(next((name for name, count in self.running.items() if count > 0), ""), 0)

    def begin(self, step: str, total: int) -> None:
        self.step, self.done, self.first, self.total, self.note = step, 0, 0, total, ""
        self.since = time.monotonic()

    def advance(self, count: int, note: str) -> None:
        if self.done == 0:
            self.since = time.monotonic()  # the rate leaves the start of the workers out
            self.first = count
        self.done += count
        self.note = note or self.note
        seconds = time.monotonic() - self.since
        if seconds > 0 and self.done > self.first:
            self.set("itkm_images_per_second", (self.done - self.first) / seconds, step=self.step)

    def set(self, name: str, value: float, **tags: str) -> None:
        self.gauges[name].set(value, tags=tags)

    def snapshot(self) -> tuple[str, int, int, str, float]:
        return self.step, self.done, self.total, self.note, time.monotonic() - self.since


@dataclass(frozen=True)
class Telemetry:
    """Handle to the board, passed to every step. Calls do not wait; without an actor they do nothing."""

    actor: ActorHandle | None = None

    @classmethod
    def start(cls) -> Telemetry:
        """A new board on this node, which ends with the driver."""
        here = ray.get_runtime_context().get_node_id()
        board = ray.remote(num_cpus=0, label_selector={"ray.io/node-id": here})(_Board)
        return cls(board.options(name=None).remote())

    def enter(self, step: str) -> None:
        """A step starts; it says more of itself by `begin` with the same name."""
        if self.actor is not None:
            self.actor.enter.remote(step)

    def leave(self, step: str) -> None:
        """A step that entered has ended: its line goes away."""
        if self.actor is not None:
            self.actor.leave.remote(step)

    def begin(self, step: str, total: int) -> None:
        if self.actor is not None:
            self.actor.begin.remote(step, total)

    def advance(self, count: int, note: str = "") -> None:
        if self.actor is not None:
            self.actor.advance.remote(count, note)

    def set(self, name: str, value: float, **tags: str) -> None:
        if self.actor is not None:
            self.actor.set.remote(name, value, **tags)

    def snapshot(self) -> Any:
        return None if self.actor is None else ray.get(self.actor.snapshot.remote(), timeout=5)


class Meter:
    """Counts images for the board and tells it about once a second: a call per batch would show."""

    EVERY = 1.0

    def __init__(self, telemetry: Telemetry) -> None:
        self.telemetry = telemetry
        self._unsent, self._sent = 0, time.monotonic()

    def add(self, count: int, note: str = "") -> bool:
        """Count; True where the board was told just now."""
        self._unsent += count
        if time.monotonic() - self._sent < self.EVERY:
            return False
        self.telemetry.advance(self._unsent, note)
        self._unsent, self._sent = 0, time.monotonic()
        return True


class ProgressDisplay:
    """Shows the board while a `with` block runs: a live line on a terminal, a line now and then elsewhere."""

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
                    self.console.print(Text(line), highlight=False)
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
