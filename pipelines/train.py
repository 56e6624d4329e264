"""A round's training as a Ray Train job: Stage I on all (scenario, group) pairs at once."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ItkmError, TrainingError
from pipelines.config import RunConfig
from pipelines.encoders import EncoderSource
from pipelines.label import read_centroids, read_labels
from pipelines.runs import digest_of
from pipelines.storage import Place
from pipelines.telemetry import Telemetry

# Ray Train keeps its own bookkeeping and mid-round checkpoints in this folder of the step.
_GROUP = "ray_train"


@dataclass(frozen=True)
class TrainTask:
    """What one worker of a round's training needs, small enough to send."""

    config: RunConfig
    corpus_root: str
    source: EncoderSource
    number: int
    labels: tuple[Place, ...]
    previous: Place | None
    out: Place
    threads: int
    telemetry: Telemetry


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
) -> tuple[str, dict[str, Any]]:
    """Train round `number` (from 1) and leave `out`/checkpoint. Returns its digest and facts.

    A round cut off in the middle goes on from its last mid-round checkpoint.

    Raises:
        TrainingError: a loss that is not finite, or workers lost more often than `max_failures`.
    """
    import ray
    import ray.train
    from ray.train.torch import TorchTrainer

    started = time.time()
    workers, per_worker, threads = plan_workers(config, ray.cluster_resources())
    use_gpu = per_worker.get("GPU", 0) > 0
    task = TrainTask(config, corpus.root, source, number, labels, previous, out, threads, telemetry)
    steps = config.homogeneous.steps_per_round
    telemetry.begin(f"round-{number:03d} train", steps * _batch_size(config, labels))
    trainer = TorchTrainer(
        _train_loop,
        train_loop_config={"task": task, "asked": started},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker=per_worker
        ),
        run_config=ray.train.RunConfig(
            storage_path=str(out),
            name=_GROUP,
            failure_config=ray.train.FailureConfig(max_failures=config.compute.max_failures),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
        ),
    )
    try:
        result = trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _explain(error, out) from error
    facts = dict(result.metrics or {})
    digest = digest_of((out / "checkpoint" / "model.safetensors").read_bytes())
    return digest, {**facts, "workers": workers, "threads": threads, "gpu": use_gpu}


def plan_workers(
    config: RunConfig, resources: dict[str, float]
) -> tuple[int, dict[str, float], int]:
    """(workers, resources of each, torch threads of each) for what the cluster has."""
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    share = config.compute.gpus_per_worker
    gpu_each = (1.0 if gpus else 0.0) if share is None else share
    workers = config.compute.num_workers or (max(1, int(gpus / gpu_each)) if gpu_each else 1)
    threads = max(1, cpus // workers)
    each: dict[str, float] = {"CPU": min(threads, cpus / workers)}
    if gpu_each:
        each["GPU"] = gpu_each
    return workers, each, threads


def _explain(error: Exception, out: Place) -> ItkmError:
    """A user's line for what ended the training, naming the last good checkpoint."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, ItkmError):
                return TrainingError(f"{cause} {_last_good(out)}")
            cause = getattr(cause, "cause", None) or cause.__cause__
    return TrainingError(f"training failed: {error} {_last_good(out)}")


def _last_good(out: Place) -> str:
    states = (out / _GROUP).files("model.safetensors")
    if states:
        return f"The last good checkpoint is {os.path.dirname(states[-1])}."
    return "The last good checkpoint is the one of the round before."
