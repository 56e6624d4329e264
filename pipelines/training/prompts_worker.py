"""What each worker of Stage II does: learn the prompts from image vectors that were computed once."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import plan_step
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.texts import MovedTexts
from pipelines.training.tasks import PromptsTask
from pipelines.training.worker import (
    FACTS,
    STATE,
    Progress,
    ends_on_fault,
    group_indices,
    opened,
    read_state,
    saved,
)

if TYPE_CHECKING:
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
    torch.set_num_threads(task.threads)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    tables = [read_labels(place) for place in task.labels]
    indices = group_indices(tables, task.scenarios)
    vectors = Vectors(task.features, tables)
    clip = load_clip(model.name, model.pretrained, device=ray.train.torch.get_device())
    clusters = [index.num_clusters for index in indices]
    learner = PromptLearner.from_clip(clip, clusters, config, seed=task.config.seed)
    del clip  # its image tower is not needed here
    start = offline_text(learner, precision=config.precision) if rank == 0 else []
    stage = StageTwo(learner, config)
    first = resume_step(stage, ray.train.get_checkpoint())
    groups = (config.clusters_per_group, config.images_per_cluster)
    images = sum(min(groups[0], number) for number in clusters) * groups[1]
    line = f"round-{task.number:03d} prompts"
    progress = Progress(task, line, rank, images * (config.steps - first))
    for step in range(first, config.steps):
        plan = plan_step(
            indices,
            clusters_per_group=config.clusters_per_group,
            images_per_cluster=config.images_per_cluster,
            seed=task.config.seed,
            round=_PLAN_ROUND,
            step=step,
        )
        mine = torch.from_numpy(vectors.of(plan.slice(rank, world).sample_ids))
        result = stage.step(mine, plan)
        progress.add(len(plan), result.loss, result.losses)
        done = step + 1
        if done % task.config.compute.checkpoint_every == 0 and done < config.steps:

            def files(done: int = done) -> dict[str, bytes]:
                return checkpoint_files(stage, task, done)

            with saved(rank, files) as checkpoint:
                ray.train.report({"step": done}, checkpoint=checkpoint)
    if rank == 0:
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
        self._order = np.argsort(ids)
        self._sorted = ids[self._order]
        self._all = np.concatenate(self.blocks)

    def of(self, sample_ids: np.ndarray) -> np.ndarray:
        """float32 [b, D] of images of the label tables, in that order."""
        return np.asarray(self._all[self._order[np.searchsorted(self._sorted, sample_ids)]])


def write_texts(
    task: PromptsTask,
    tables: Sequence[pa.Table],
    vectors: Vectors,
    before: Sequence[np.ndarray],
    texts: Sequence[np.ndarray],
) -> dict[str, Any]:
    """Write each block's offline texts (see texts.py). Returns what tells how good they are.

    before, texts: T of each block before the first step and after the last. A cosine is None where
    there is one scenario.
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
    """A mid-stage checkpoint: prompts and their optimizer."""
    import torch

    state = io.BytesIO()
    torch.save(stage.state_dict(), state)
    record = {"round": task.number, "stage": "prompts", "step": step}
    return {PROMPTS: state.getvalue(), STATE: json.dumps(record, indent=1).encode()}


def resume_step(stage: StageTwo, checkpoint: Any) -> int:
    """The step to go on from: after the last mid-stage checkpoint, if there is one."""
    if checkpoint is None:
        return 0
    with opened(checkpoint) as folder:
        state = read_state((folder / PROMPTS).read_bytes(), f"{checkpoint.path}/{PROMPTS}")
        done = json.loads((folder / STATE).read_text())["step"]
    stage.load_state_dict(state)
    return int(done)
