"""A run's share of the cluster, so that runs side by side cannot deadlock.

A step plans for all CPUs and GPUs its run counts on. Two runs that each count on the whole cluster can each
hold a part of it while they wait for the rest: the encoders of both extractions are up, and no CPU is left
to read pictures with. So n runs at a time count on 1/n each. Then

- the encoders and readers of all runs fit at once: an encoder takes three quarters of the CPUs it counts on,
  and readers always find the last quarter;
- training takes its workers all at once or not at all (a placement group), and holds nothing while it waits;
- everything else is a Ray task that holds one CPU and waits for nothing, so it always ends.

The drivers are threads of one process and hold no logical CPU, so no run can starve its own children.
"""

from __future__ import annotations

from collections.abc import Mapping

from itkm_core.errors import ConfigError
from pipelines.config import ComputeConfig

CPUS_PER_RUN = 2  # one works while the other reads, or starts the next step's workers


def usable(resources: Mapping[str, float], share: float) -> dict[str, float]:
    """What a run with this share counts on of a cluster's resources: whole CPUs, at least one, and whole GPUs."""
    part = {name: float(int(resources.get(name, 0) * share + 1e-9)) for name in ("CPU", "GPU")}
    return {**resources, **part, "CPU": max(1.0, part["CPU"])}


def runs_at_once(
    resources: Mapping[str, float], compute: ComputeConfig, runs: int, asked: int | None = None
) -> int:
    """How many of `runs` runs may go side by side: as many as get a GPU each, or two CPUs each without GPUs.

    asked: the user's own number; at most one run per GPU, or per CPU without GPUs.

    Raises:
        ConfigError: `asked` is more than that.
    """
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    workers = compute.num_workers or 1
    use_gpus = gpus > 0 and compute.gpus_per_worker != 0
    most = min(gpus, cpus) if use_gpus else max(1, cpus)
    if asked is not None and asked > most:
        raise ConfigError(
            f"--at-once is {asked}; on a cluster of {cpus} CPUs and {gpus} GPUs {most} is the most: more runs "
            "would wait for each other"
        )
    if asked is not None:
        return max(1, min(asked, runs))
    share = (compute.gpus_per_worker or 1.0) * workers if use_gpus else max(CPUS_PER_RUN, workers)
    fitting = int((gpus if use_gpus else cpus) / share)
    return max(1, min(fitting, most, runs))
