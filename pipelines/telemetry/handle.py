"""The handle to the board (board.py) that every step is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import ray
from ray.actor import ActorHandle

from pipelines.telemetry.board import Board

NAME = "itkm-progress"  # of the actor, in the dashboard


@dataclass(frozen=True)
class Telemetry:
    """Handle to the board. Calls do not wait; without an actor they do nothing."""

    actor: ActorHandle | None = None

    @classmethod
    def start(cls) -> Telemetry:
        """A new board on this node that ends with the driver."""
        here = ray.get_runtime_context().get_node_id()
        board = ray.remote(Board).options(
            num_cpus=0,
            label_selector={"ray.io/node-id": here},
            name=NAME,
            # Runs side by side have a board each, and a name becomes free only some time after its actor ends.
            namespace=f"{NAME}-{uuid4().hex[:8]}",
            # The dashboard shows a job's latest 10,000 tasks, and these would be most of them.
            enable_task_events=False,
        )
        actor = board.remote()
        actor.keep_fresh.remote()
        return cls(actor)

    def enter(self, step: str) -> None:
        """A step starts; `begin` with the same name says more about it."""
        if self.actor is not None:
            self.actor.enter.remote(step)

    def leave(self, step: str) -> None:
        """A step that entered has ended; its line disappears."""
        if self.actor is not None:
            self.actor.leave.remote(step)

    def begin(self, step: str, total: int) -> None:
        if self.actor is not None:
            self.actor.begin.remote(step, total)

    def advance(self, count: int, note: str, memory: Mapping[str, float]) -> None:
        """More images of the step that last called `begin` are done; memory: see `memory`."""
        if self.actor is not None:
            self.actor.advance.remote(count, note, memory)

    def tell(self, kind: str, note: str) -> None:
        """What a step of this kind is doing."""
        if self.actor is not None:
            self.actor.tell.remote(kind, note)

    def memory(self, step: str, peaks: Mapping[str, float]) -> None:
        """Bytes by kind (see `itkm_memory_bytes`) of one process of a step; the board keeps the maximum."""
        if self.actor is not None:
            self.actor.memory.remote(step, peaks)

    def set(self, name: str, value: float, **tags: str) -> None:
        if self.actor is not None:
            self.actor.set.remote(name, value, **tags)

    def snapshot(self) -> Any:
        return None if self.actor is None else ray.get(self.actor.snapshot.remote(), timeout=5)
