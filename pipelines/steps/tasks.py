"""How a step is run as a Ray task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayTaskError

from itkm_core.errors import ItkmError
from pipelines.telemetry.handle import Telemetry
from pipelines.telemetry.meter import peak_memory


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
    task = ray.remote(measured).options(
        num_cpus=1, num_gpus=gpus, memory=memory or None, name=title, max_retries=3
    )
    try:
        return ray.get(task.remote(function, title, telemetry or Telemetry(), *args))
    except RayTaskError as error:
        if (mine := users_error(error)) is not None:
            raise mine from None
        raise


def measured(function: Callable[..., Any], step: str, telemetry: Telemetry, *arguments: Any) -> Any:
    """`function(*arguments)` as the body of a Ray task, which reports its process's peak memory to the board."""
    try:
        return function(*arguments)
    finally:
        telemetry.memory(step, peak_memory())


def users_error(error: BaseException) -> ItkmError | None:
    """The first ItkmError among `error` and its causes, here or in the process it comes from."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, ItkmError):
            return cause
        seen.add(id(cause))
        cause = getattr(cause, "cause", None) or cause.__cause__
    return None
