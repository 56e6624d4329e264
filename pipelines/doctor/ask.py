"""Asks every node of a cluster the same question at once, with a time limit."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.doctor import disks, probe
from pipelines.faults import users_error


@dataclass(frozen=True)
class Node:
    """A node of the cluster. name: its address, followed by part of its id if several nodes share the address."""

    id: str
    name: str
    resources: Mapping[str, float]

    @property
    def takes_tasks(self) -> bool:
        """Whether it has CPUs for tasks; a head node that only manages the cluster has none."""
        return self.resources.get("CPU", 0) >= 1

    @property
    def gpus(self) -> float:
        return self.resources.get("GPU", 0)


def cluster_nodes() -> list[Node]:
    """The nodes that are alive, sorted by name."""
    alive = [each for each in ray.nodes() if each["Alive"]]
    shared = Counter(each["NodeManagerAddress"] for each in alive)
    nodes = []
    for each in alive:
        address, identity = each["NodeManagerAddress"], each["NodeID"]
        name = address if shared[address] == 1 else f"{address}/{identity[:6]}"
        nodes.append(Node(identity, name, each["Resources"]))
    return sorted(nodes, key=lambda node: node.name)


@dataclass(frozen=True)
class Answers:
    """of: each node's answer, by node id. silent: why a node gave none, by node id."""

    of: Mapping[str, Any]
    silent: Mapping[str, str]


def ask(
    nodes: Sequence[Node],
    question: Callable[..., Any],
    arguments: Callable[[Node], tuple],
    seconds: float,
) -> Answers:
    """`question(*arguments(node))` on every node, which has `seconds` to answer."""
    waiting = {}
    with sent_whole():
        for node in nodes:
            task = ray.remote(question).options(
                num_cpus=0,
                max_retries=0,
                name=f"doctor[{node.name}]",
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            waiting[task.remote(*arguments(node))] = node
    found, silent = {}, {}
    done, late = (
        ray.wait(list(waiting), num_returns=len(waiting), timeout=seconds) if waiting else ([], [])
    )
    for reference in done:
        try:
            found[waiting[reference].id] = ray.get(reference)
        except Exception as error:  # noqa: BLE001 - a lost node, a full disk, an import that fails there
            said = users_error(error) or getattr(error, "cause", None) or error
            silent[waiting[reference].id] = probe.shortened(said)
    for reference in late:
        ray.cancel(reference, force=True)
        silent[waiting[reference].id] = f"no answer within {seconds:g} s"
    return Answers(found, silent)


@contextmanager
def sent_whole() -> Iterator[None]:
    """Send the functions that ask a node as code, not by name: a node may have another version of itkm, or none."""
    modules = [sys.modules[each.__name__] for each in (probe, disks)]
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            ray.cloudpickle.unregister_pickle_by_value(module)
