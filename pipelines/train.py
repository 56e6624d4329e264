"""A round's training as a Ray Train job: Stage I on all (scenario, group) pairs at once."""

from __future__ import annotations

import os
import time
from typing import Any

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ItkmError, TrainingError
from pipelines.config import RunConfig
from pipelines.encoders import WEIGHTS, EncoderSource
from pipelines.runs import digest_of
from pipelines.storage import Place
from pipelines.telemetry import Telemetry
from pipelines.train_worker import CHECKPOINT, FACTS, TrainTask, train_loop

# Ray Train keeps its own bookkeeping and mid-round checkpoints in this folder of the step.
_GROUP = "ray_train"


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

    workers, per_worker, threads = plan_workers(config, ray.cluster_resources())
    use_gpu = per_worker.get("GPU", 0) > 0
    task = TrainTask(
        config=config,
        corpus_root=corpus.root,
        source=source,
        number=number,
        labels=labels,
        previous=previous,
        out=out,
        threads=threads,
        telemetry=telemetry,
        asked=time.time(),
    )
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={"task": task},
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
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _explain(error, out) from error
    facts = (out / FACTS).read_json()
    digest = digest_of((out / CHECKPOINT / WEIGHTS).read_bytes())
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
    states = (out / _GROUP).files(WEIGHTS)
    if states:
        return f"The last good checkpoint is {os.path.dirname(states[-1])}."
    return "The last good checkpoint is the one of the round before."
