"""Labelling one large block on many machines: spans of rows as Ray tasks over arrays in the object store.

The arrays that a step reads are put once; every machine has one copy, which its tasks map instead of copying. A
machine that is lost takes its tasks' results with it, and Ray recomputes them: the task that divides the work owns
all arrays. Labels are the same for one task and for many (`itkm_core.neighbors.workers`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import ray

from itkm_core.neighbors.kernels import Array, thread_count
from itkm_core.neighbors.products import readable
from itkm_core.neighbors.search import TORCH_FROM
from itkm_core.neighbors.workers import Threads, Workers
from pipelines.faults import unwrapped
from pipelines.steps.tasks import task_of
from pipelines.steps.workers import living_machines
from pipelines.telemetry.handle import Telemetry

Result = TypeVar("Result")

TASKS_PER_CPU = 8
"""So many that the last tasks of a step, while some CPUs idle, are a small part of it. [ours]"""

GPUS_PER_LABEL = 0.25
"""The search of a block uses a GPU for seconds only, and little of its memory. [ours]"""

MIN_ROWS = 16_384
"""With fewer rows a task takes longer to start than to compute. [ours]"""


@dataclass(frozen=True)
class Shared:
    """An array and where it lies in the object store."""

    array: Array
    reference: Any


class RayTasks:
    """`Workers` of `cpus` CPUs each: spans of `rows` rows, rounded up to the step's multiple.

    `name` precedes the step's in the dashboard, as in "label[uvi/1] exact lists": the spans of a step share one name,
    since the dashboard counts tasks by name. `device`: the accelerator of the task that divides the work, which
    searches on it itself. `telemetry` is told of each finished span.
    """

    def __init__(
        self,
        name: str,
        *,
        rows: int,
        cpus: int = 1,
        device: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name, self.rows, self.threads, self.device = name, rows, cpus, device
        self.telemetry = telemetry or Telemetry()
        self._shared: WeakValueDictionary[int, Shared] = WeakValueDictionary()

    def share(self, array: Array) -> Shared:
        """The array in the object store, for as long as somebody holds what this returns."""
        known = self._shared.get(id(array))
        if known is None:
            known = self._shared[id(array)] = Shared(array, ray.put(array))
        return known

    def spans(
        self, step: Callable[..., Result], num_rows: int, multiple: int, *arguments: Any
    ) -> list[Result]:
        """Run the step on each span as a Ray task, or in this process if there is only one."""
        size = -(-self.rows // multiple) * multiple
        if num_rows <= size:
            here = [each.array if isinstance(each, Shared) else each for each in arguments]
            return [step(*here, 0, num_rows, self.threads)]
        sent = [each.reference if isinstance(each, Shared) else each for each in arguments]
        name = f"{self.name} {step.__name__.strip('_').replace('_', ' ')}"
        task = task_of(_span).options(num_cpus=self.threads, name=name, max_retries=3)
        bounds = [(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]
        references = [task.remote(step, a, b, self.threads, *sent) for a, b in bounds]
        pending = references
        while pending:
            _, pending = ray.wait(pending)
            done = len(references) - len(pending)
            self.telemetry.tell("label", f"{name} {done}/{len(references)}")
        with unwrapped():
            results: list[Result] = ray.get(references)
        return results


def _span(
    step: Callable[..., Result], start: int, stop: int, threads: int, *arguments: Any
) -> Result:
    """The body of a task. Arrays from the object store are read-only, and kernels would be compiled again for them."""
    arrays = [readable(each) if isinstance(each, np.ndarray) else each for each in arguments]
    return step(*arrays, start, stop, threads)


def group_workers(name: str, num_images: int, telemetry: Telemetry | None = None) -> Workers:
    """Who does the labelling of a block of `num_images`: its task alone, or further tasks if that pays."""
    if not ray.is_initialized():  # asking about the cluster would start one
        return Threads(thread_count())
    device = own_device()
    if not is_divided(num_images):
        return Threads(thread_count(), device)
    sizes = _machines()
    # Few large tasks on large machines: each task's process loads its own libraries.
    cpus = max(1, min(8, min(sizes) // 4))
    slots = sum(size // cpus for size in sizes)
    rows = max(MIN_ROWS, -(-num_images // (TASKS_PER_CPU * slots)))
    return RayTasks(name, rows=rows, cpus=cpus, device=device, telemetry=telemetry)


def own_device() -> str | None:
    """The accelerator that Ray gave this task, if torch can use it."""
    if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None


def gpus_to_label(num_images: int, share: float | None, dbscan: str = "sparse") -> float:
    """GPUs that the task of a block of `num_images` asks for; `share`: `compute.gpus_per_label`."""
    if (num_images < TORCH_FROM and dbscan == "sparse") or not ray.cluster_resources().get("GPU"):
        return 0.0
    return GPUS_PER_LABEL if share is None else share


def is_divided(num_images: int) -> bool:
    """Whether a block of `num_images` is labelled by more than one task on this cluster."""
    return num_images >= 2 * MIN_ROWS and sum(_machines()) > 1


def _machines() -> list[int]:
    """The number of CPUs of each machine that gives Ray any."""
    cpus = [machine.get("CPU", 0) for machine in living_machines()]
    return [int(number) for number in cpus if number >= 1]
