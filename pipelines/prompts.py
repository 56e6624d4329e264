"""Stage II as a Ray Train job: the prompts of every cluster, once, before the first round of Stage III."""

from __future__ import annotations

from typing import Any

from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import digest_of
from pipelines.config import RunConfig
from pipelines.telemetry.handle import Telemetry
from pipelines.training.jobs import run_workers
from pipelines.training.prompts_worker import TOKENS, PromptsTask, prompts_loop


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
