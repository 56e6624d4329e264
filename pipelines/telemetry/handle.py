"""Handle to the board (board.py), which every step is given, and the progress line that it feeds."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from uuid import uuid4

import ray
from ray.actor import ActorHandle
from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipelines.peaks import peak_memory
from pipelines.telemetry.board import Board

NAME = "itkm-progress"  # of the actor, in the dashboard


@dataclass(frozen=True)
class Telemetry:
    """Handle to the board, passed to every step. Calls do not wait; without an actor they do nothing."""

    actor: ActorHandle | None = None

    @classmethod
    def start(cls) -> Telemetry:
        """A new board on this node, which ends with the driver."""
        here = ray.get_runtime_context().get_node_id()
        board = ray.remote(Board).options(
            num_cpus=0,
            label_selector={"ray.io/node-id": here},
            name=NAME,
            # Runs side by side have a board each, and a name is free again only some time after its actor's end.
            namespace=f"{NAME}-{uuid4().hex[:8]}",
            # The dashboard shows the newest 10,000 tasks of a job: these would be most of them.
            enable_task_events=False,
        )
        actor = board.remote()
        actor.keep_fresh.remote()
        return cls(actor)

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

    def advance(self, count: int, note: str, memory: Mapping[str, float]) -> None:
        """More images of the step that begun last are done; memory: see `memory`."""
        if self.actor is not None:
            self.actor.advance.remote(count, note, memory)

    def tell(self, kind: str, note: str) -> None:
        """What a step of this kind is at."""
        if self.actor is not None:
            self.actor.tell.remote(kind, note)

    def memory(self, step: str, peaks: Mapping[str, float]) -> None:
        """Bytes by kind (see `itkm_memory_bytes`) of one process of a step; the board keeps the most."""
        if self.actor is not None:
            self.actor.memory.remote(step, peaks)

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
        self.telemetry.advance(self._unsent, note, peak_memory())
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
