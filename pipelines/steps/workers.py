"""How many processes a step starts on a cluster, and what each of them is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray

Machine = Mapping[str, float]
"""What a machine gives Ray: CPUs, GPUs and others, by name."""


def living_machines() -> list[Machine]:
    """The machines of the cluster that are up."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@dataclass(frozen=True)
class Workers:
    """The processes of a step. `cpus` and `gpus` are what each asks of Ray, `threads` how many it computes with."""

    number: int
    threads: int
    cpus: float
    gpus: float


def plan_workers(
    resources: Mapping[str, float],
    machines: Sequence[Machine],
    *,
    asked: int | None,
    gpus_each: float | None,
    every_cpu: bool = False,
) -> Workers:
    """Workers for what a run counts on, `resources`, of a cluster of these machines.

    Each is on one machine, and all must have a place at once: so each gets no more CPUs than the machines can
    give that many workers. A machine without GPUs beside those with GPUs adds none.

    asked: how many; None: one per GPU share, and without GPUs one.
    gpus_each: the GPU share of each; None: 1 where there are GPUs.
    every_cpu: without GPUs there is one for every CPU unless fewer are asked for, and never more.
    """
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    share = (1.0 if gpus else 0.0) if gpus_each is None else gpus_each
    if share:
        number = asked or max(1, whole(gpus, share))
    elif every_cpu:
        number = min(asked or cpus, cpus)
    else:
        number = asked or 1
    threads = max(1, cpus // number)
    while threads > 1 and places(machines, threads, share) < number:
        threads -= 1
    return Workers(number, threads, min(threads, cpus / number), share)


def places(machines: Sequence[Machine], cpus: float, gpus: float) -> int:
    """How many workers of so many CPUs and GPUs fit the machines, each on one of them."""
    fitting = 0
    for machine in machines:
        room = whole(machine.get("CPU", 0), cpus)
        fitting += min(room, whole(machine.get("GPU", 0), gpus)) if gpus else room
    return fitting


def whole(amount: float, each: float) -> int:
    """How often `each` goes into `amount`: 1 / 0.1 is 10 here, where plain floats give 9.99."""
    return int(amount / each + 1e-9)
