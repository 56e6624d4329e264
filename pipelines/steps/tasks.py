"""How a step is run as a Ray task."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import ray
from ray.remote_function import RemoteFunction

from pipelines.faults import unwrapped
from pipelines.telemetry.handle import Telemetry
from pipelines.telemetry.meter import peak_memory


@cache
def task_of(function: Callable[..., Any]) -> RemoteFunction:
    """`ray.remote(function)`, once: Ray takes each for another kind of task, of which it forgets none."""
    return ray.remote(function)


def remote(
    function: Callable[..., Any],
    title: str,
    *args: Any,
    memory: float = 0,
    gpus: float = 0,
    telemetry: Telemetry | None = None,
) -> Any:
    """Run `function` as a Ray task named `title`; an ItkmError comes back as itself.

    memory, gpus: bytes and GPUs that a machine must have free for it. telemetry: is told how much memory it took.
    The title does not name the round: the dashboard counts tasks by name, so a step has one line there per run.
    """
    task = task_of(measured).options(
        num_cpus=1, num_gpus=gpus, memory=memory or None, name=title, max_retries=3
    )
    with unwrapped():
        return ray.get(task.remote(function, title, telemetry or Telemetry(), *args))


def measured(function: Callable[..., Any], step: str, telemetry: Telemetry, *arguments: Any) -> Any:
    """`function(*arguments)` as the body of a Ray task, which reports its process's peak memory to the board."""
    try:
        return function(*arguments)
    finally:
        telemetry.memory(step, peak_memory())
