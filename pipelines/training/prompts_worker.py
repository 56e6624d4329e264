"""What each worker of Stage II does: learn the prompts from image vectors that were computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.neighbors.lookup import Lookup
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.texts import MovedTexts
from pipelines.training.checkpoints import STATE, record_bytes, resume, state_bytes
from pipelines.training.tasks import PromptsTask
from pipelines.training.worker import FACTS, Progress, Worker, ends_on_fault

if TYPE_CHECKING:
    from torch import Tensor

    from itkm_core.learning.prompts import StageTwo

TOKENS = "tokens.safetensors"
PROMPTS = "prompts.pt"
_PLAN_ROUND = 0  # rounds of training count from 1, so Stage II's draws are its own


@ends_on_fault
def prompts_loop(loop_config: dict[str, Any]) -> None:
    """One worker's stage: the steps that are left, then (on rank 0) the prompts and their texts."""
    import ray.train
    import ray.train.torch
    import torch

    from itkm_core.learning.prompt_learner import PromptLearner, offline_text
    from itkm_core.learning.prompts import StageTwo
    from itkm_core.model.clip import load_clip

    task: PromptsTask = loop_config["task"]
    config, model = task.config.prompting(), task.config.model
    worker = Worker(task)
    tables = worker.tables
    vectors = Vectors(task.features, tables)
    clip = load_clip(model.name, model.pretrained, device=ray.train.torch.get_device())
    clusters = [index.num_clusters for index in worker.indices]
    learner = PromptLearner.from_clip(clip, clusters, config, seed=task.config.seed)
    del clip  # its image tower is not needed here
    start = offline_text(learner, precision=config.precision) if worker.rank == 0 else []
    stage = StageTwo(learner, config)
    first = resume_step(stage, ray.train.get_checkpoint())

    def batches() -> Iterator[tuple[BatchPlan, Tensor]]:
        for plan in worker.plans(config, round=_PLAN_ROUND, steps=range(first, config.steps)):
            mine = plan.slice(worker.rank, worker.world)
            yield plan, torch.from_numpy(vectors.of(mine.sample_ids))

    batch = sum(min(config.clusters_per_group, number) for number in clusters)
    images = batch * config.images_per_cluster * (config.steps - first)
    progress = Progress(task, f"round-{task.number:03d} prompts", worker.rank, images)
    files = partial(checkpoint_files, stage, task)
    worker.run(stage, batches(), progress, total=config.steps, files=files)
    if worker.rank == 0:
        texts = offline_text(learner, precision=config.precision)
        facts = write_texts(task, tables, vectors, start, texts)
        (task.out / TOKENS).write_bytes(tokens_bytes(stage, tables))
        (task.out / FACTS).write_json({**progress.facts(), **facts})
    ray.train.report({})


class Vectors:
    """The frozen CLIP's image vectors of all blocks, found by sample id."""

    def __init__(self, features: Place, tables: Sequence[pa.Table]) -> None:
        self.blocks = []
        for table in tables:
            ids = table["sample_id"].to_numpy()
            self.blocks.append(read_features(features, ids, Block.of(table)))
        ids = np.concatenate([table["sample_id"].to_numpy() for table in tables])
        self._by_id = Lookup(ids)
        self._all = np.concatenate(self.blocks)

    def of(self, sample_ids: np.ndarray) -> np.ndarray:
        """float32 [b, D] of images of the label tables, in that order."""
        return np.asarray(self._all[self._by_id.find(sample_ids)[0]])


def write_texts(
    task: PromptsTask,
    tables: Sequence[pa.Table],
    vectors: Vectors,
    before: Sequence[np.ndarray],
    texts: Sequence[np.ndarray],
) -> dict[str, Any]:
    """Write each block's offline texts (see texts.py). Returns measures of how good they are.

    before, texts: T of each block before the first step and after the last. A cosine is None if there is only
    one scenario.
    """
    from itkm_core.learning.prompt_health import prompt_accuracy, scenario_cosine
    from itkm_core.learning.text_update import text_cluster

    right = counted = 0.0
    of_scenario: dict[int, list[list[np.ndarray]]] = {}
    for table, images, start, text in zip(tables, vectors.blocks, before, texts, strict=True):
        block = Block.of(table)
        labels = table["label"].to_numpy()
        owners = text_cluster(images, labels, text)
        MovedTexts(text, text[owners]).write(task.out, block.file_name)
        (task.out / f"text-cluster-{block.file_name}.npy").write_array(owners)
        inside = int((labels >= 0).sum())
        right += prompt_accuracy(images, labels, text) * inside
        counted += inside
        of_scenario.setdefault(task.scenarios.index(block.scenario), []).append([start, text])
    cosines = [
        scenario_cosine({name: [pair[at] for pair in pairs] for name, pairs in of_scenario.items()})
        for at in (0, 1)
    ]
    return {
        "prompts": sum(map(len, texts)),
        "own_prompt_share": right / counted,
        "scenario_cosine_before": None if np.isnan(cosines[0]) else cosines[0],
        "scenario_cosine": None if np.isnan(cosines[1]) else cosines[1],
    }


def tokens_bytes(stage: StageTwo, tables: Sequence[pa.Table]) -> bytes:
    """tokens.safetensors: the learnt tokens [K, M, W] of each `scenario/group`."""
    from safetensors.torch import save

    bounds = stage.learner.offsets.tolist()
    return save(
        {
            Block.of(table).name: stage.learner.tokens[a:b].cpu().clone()
            for table, a, b in zip(tables, bounds[:-1], bounds[1:], strict=True)
        }
    )


def checkpoint_files(stage: StageTwo, task: PromptsTask, step: int) -> dict[str, bytes]:
    """A mid-stage checkpoint: the prompts and their optimizer."""
    return {
        PROMPTS: state_bytes(stage.state_dict()),
        STATE: record_bytes(round=task.number, stage="prompts", step=step),
    }


def resume_step(stage: StageTwo, checkpoint: Any) -> int:
    """Restore the stage from the last mid-stage checkpoint, if there is one. Returns the step to continue with."""
    return resume(checkpoint, PROMPTS, lambda _, state: stage.load_state_dict(state))
