"""Training as Ray Train jobs: a round of Stage I or III, or Stage II, on all blocks at once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from itkm_core.errors import TrainingError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import RAY_TRAIN, digest_of
from pipelines.config import ComputeConfig
from pipelines.faults import users_error
from pipelines.steps.encoders import WEIGHTS
from pipelines.steps.shares import usable
from pipelines.steps.workers import Machine, Workers, living_machines, plan_workers
from pipelines.training.checkpoints import STATE
from pipelines.training.prompts_worker import TOKENS, prompts_loop
from pipelines.training.round_worker import CHECKPOINT, train_loop
from pipelines.training.tasks import PromptsTask, TrainTask, WorkerTask
from pipelines.training.worker import FACTS, FAULT, Loop


def train_round(task: TrainTask) -> tuple[str, dict[str, Any]]:
    """Train a round and leave its checkpoint in the step's folder. Returns the checkpoint's digest, and facts.

    Raises: as `run_workers`.
    """
    facts = run_workers(train_loop, task, last_good="The last good one is of the round before.")
    return digest_of((task.out / CHECKPOINT / WEIGHTS).read_bytes()), facts


def learn_prompts(task: PromptsTask) -> tuple[str, dict[str, Any]]:
    """Learn the prompts, and leave tokens and texts (see texts.py) in the step's folder. Returns the tokens'
    digest, and facts.

    Raises: as `run_workers`.
    """
    facts = run_workers(prompts_loop, task, last_good="There is no checkpoint of the prompts.")
    return digest_of((task.out / TOKENS).read_bytes()), facts


def run_workers(loop: Loop, task: WorkerTask, *, last_good: str) -> dict[str, Any]:
    """Run `loop` to its end in the workers of a Ray Train job. Returns the facts that rank 0 left.

    A job of the same step that was cut off continues from its last checkpoint, which Ray Train finds under
    the same name. last_good: what to say about a checkpoint when the job itself has none.

    Raises:
        TrainingError: a loss that is not finite, or another error of a user's.
        ray.train.TrainingFailedError: a fault in a worker, or workers lost more often than `max_failures`.
    """
    import ray
    import ray.train

    from pipelines.training.trainer import trainer_of

    config, out = task.config, task.out
    resources = usable(ray.cluster_resources(), config.compute.cluster_share)
    workers = plan_trainers(config.compute, resources, living_machines())
    use_gpu = workers.gpus > 0
    of_each = {"CPU": workers.cpus, **({"GPU": workers.gpus} if use_gpu else {})}
    filesystem, folder = (out / RAY_TRAIN).resolve()
    trainer = trainer_of(workers.number)(
        loop,
        train_loop_config={"task": replace(task, threads=workers.threads, asked=time.time())},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers.number, use_gpu=use_gpu, resources_per_worker=of_each
        ),
        run_config=ray.train.RunConfig(
            # Not the address: Ray would make a file system of its own, which gives up early.
            storage_path=folder,
            storage_filesystem=filesystem,
            name=task.run_name,
            failure_config=ray.train.FailureConfig(max_failures=config.compute.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
        ),
    )
    (out / FAULT).remove()
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        last = _last_good(out) or last_good
        failures = getattr(error, "worker_failures", {})
        for cause in filter(None, map(users_error, failures.values())):
            raise TrainingError(f"{cause}. {last}") from error
        error.add_note(last)
        raise
    if (out / FAULT).exists():
        words = (out / FAULT).read_json()["error"]
        raise TrainingError(f"{words}. {_last_good(out) or last_good}")
    facts = (out / FACTS).read_json()
    return {**facts, "workers": workers.number, "threads": workers.threads, "gpu": use_gpu}


def plan_trainers(
    compute: ComputeConfig, resources: Mapping[str, float], machines: Sequence[Machine]
) -> Workers:
    """The workers of a training job."""
    return plan_workers(
        resources, machines, asked=compute.num_workers, gpus_each=compute.gpus_per_worker
    )


def _last_good(out: Place) -> str:
    states = (out / RAY_TRAIN).files(f"/{STATE}")
    return f"The last good checkpoint is {os.path.dirname(states[-1])}." if states else ""
