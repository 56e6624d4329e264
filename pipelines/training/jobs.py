"""Training as Ray Train jobs: Stage I and III, a round at a time, on all (scenario, group) pairs at once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import TrainingError
from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import RAY_TRAIN, digest_of
from pipelines.config import RunConfig
from pipelines.steps.encoders import WEIGHTS, EncoderSource
from pipelines.steps.shares import places, usable, whole
from pipelines.steps.tasks import users_error
from pipelines.telemetry.handle import Telemetry
from pipelines.training.prompts_worker import TOKENS, prompts_loop
from pipelines.training.round_worker import CHECKPOINT, train_loop
from pipelines.training.tasks import PromptsTask, TrainTask, WorkerTask
from pipelines.training.worker import FACTS, FAULT, STATE, Loop


def train_round(
    *,
    config: RunConfig,
    corpus: Corpus,
    source: EncoderSource,
    number: int,
    labels: tuple[Place, ...],
    previous: Place | None,
    out: Place,
    telemetry: Telemetry,
    heterogeneous: bool = False,
    features: Place | None = None,
    matches: Mapping[str, Place] | None = None,
    prompts: Place | None = None,
) -> tuple[str, dict[str, Any]]:
    """Train round `number` (from 1) and leave `out`/checkpoint. Returns its digest and facts.

    previous: checkpoint of the round before, where that was of the same stage. heterogeneous: Stage III,
    which reads this round's features, the match steps by scenario and, where there are texts, the prompts
    step. A round cut off in the middle goes on from its last mid-round checkpoint.

    Raises:
        TrainingError: a loss that is not finite, or another error of a user's.
        ray.train.TrainingFailedError: a fault in a worker, or workers lost more often than `max_failures`.
    """
    task = TrainTask(
        config=config,
        scenarios=corpus.scenarios,
        number=number,
        labels=labels,
        out=out,
        telemetry=telemetry,
        corpus_root=corpus.root,
        source=source,
        previous=previous,
        heterogeneous=heterogeneous,
        features=features,
        matches=dict(matches or {}),
        prompts=prompts,
    )
    facts = run_workers(train_loop, task, last_good="The last good one is of the round before.")
    return digest_of((out / CHECKPOINT / WEIGHTS).read_bytes()), facts


def run_workers(loop: Loop, task: WorkerTask, *, last_good: str) -> dict[str, Any]:
    """Run `loop` in the workers of a Ray Train job, to its end. Returns the facts that rank 0 left.

    A job of the same step that was cut off goes on from its last checkpoint, which Ray Train finds under
    the same name. last_good: what to say of a checkpoint where the job itself has none.

    Raises:
        TrainingError: a loss that is not finite, or another error of a user's.
        ray.train.TrainingFailedError: a fault in a worker, or workers lost more often than `max_failures`.
    """
    import ray
    import ray.train
    from ray.train.torch import TorchTrainer

    config, out = task.config, task.out
    resources = usable(ray.cluster_resources(), config.compute.cluster_share)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    workers, per_worker, threads = plan_workers(config, resources, machines)
    use_gpu = per_worker.get("GPU", 0) > 0
    filesystem, folder = (out / RAY_TRAIN).resolve()
    trainer = TorchTrainer(
        loop,
        train_loop_config={"task": replace(task, threads=threads, asked=time.time())},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker=per_worker
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
    return {**facts, "workers": workers, "threads": threads, "gpu": use_gpu}


def plan_workers(
    config: RunConfig, resources: Mapping[str, float], machines: Sequence[Mapping[str, float]]
) -> tuple[int, dict[str, float], int]:
    """(workers, resources of each, torch threads of each) for what the cluster has, of which `machines` are its parts.

    A worker is on one machine, and all are placed at once or none: so each asks for no more CPUs than the machines
    can give that many workers. A CPU-only machine beside GPU machines adds none.
    """
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    share = config.compute.gpus_per_worker
    gpu_each = (1.0 if gpus else 0.0) if share is None else share
    workers = config.compute.num_workers or (whole(gpus, gpu_each) if gpu_each else 1)
    workers = max(1, workers)
    threads = max(1, cpus // workers)
    while threads > 1 and places(machines, threads, gpu_each) < workers:
        threads -= 1
    each: dict[str, float] = {"CPU": min(threads, cpus / workers)}
    if gpu_each:
        each["GPU"] = gpu_each
    return workers, each, threads


def _last_good(out: Place) -> str:
    states = (out / RAY_TRAIN).files(f"/{STATE}")
    return f"The last good checkpoint is {os.path.dirname(states[-1])}." if states else ""


def train_prompts(
    *,
    config: RunConfig,
    scenarios: tuple[str, ...],
    number: int,
    labels: tuple[Place, ...],
    features: Place,
    out: Place,
    telemetry: Telemetry,
) -> tuple[str, dict[str, Any]]:
    """Learn the prompts and leave tokens and texts in `out` (see texts.py). Returns their digest and facts.

    features: of the frozen CLIP. A stage cut off in the middle goes on from its last checkpoint.

    Raises:
        TrainingError: a loss that is not finite, or another error of a user's.
        ray.train.TrainingFailedError: a fault in a worker, or workers lost more often than `max_failures`.
    """
    task = PromptsTask(
        config=config,
        scenarios=scenarios,
        number=number,
        labels=labels,
        out=out,
        telemetry=telemetry,
        features=features,
    )
    facts = run_workers(prompts_loop, task, last_good="There is no checkpoint of the prompts.")
    return digest_of((out / TOKENS).read_bytes()), facts
