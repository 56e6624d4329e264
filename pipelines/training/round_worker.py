"""What each worker of a round's training does. The arithmetic is itkm_core's; this brings it the data."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import plan_step
from itkm_core.corpus.schema import Corpus
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import read_centroids, read_labels
from pipelines.artifacts.texts import read_texts
from pipelines.steps.encoders import WEIGHTS
from pipelines.training.tasks import TrainTask
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
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.model.weights import EncoderInfo

CHECKPOINT = "checkpoint"
TRAINING = "training.pt"
TEXT = "text.safetensors"


@ends_on_fault
def train_loop(loop_config: dict[str, Any]) -> None:
    """One worker's round: the steps that are left, then (on rank 0) the round's checkpoint."""
    import ray.train
    import ray.train.torch
    import torch

    from itkm_core.corpus.loader import BatchLoader
    from itkm_core.corpus.store import CorpusStore

    task: TrainTask = loop_config["task"]
    training = task.training
    torch.set_num_threads(task.threads)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    tables = [read_labels(place) for place in task.labels]
    indices = group_indices(tables, task.scenarios)
    stage, info = build_stage(task, tables, device=ray.train.torch.get_device())
    first = resume_step(stage, ray.train.get_checkpoint())
    plans = [
        plan_step(
            indices,
            clusters_per_group=training.clusters_per_group,
            images_per_cluster=training.images_per_cluster,
            seed=task.config.seed,
            round=task.number,
            step=step,
        )
        for step in range(first, training.steps_per_round)
    ]
    colour_free = frozenset(
        number
        for number, table in enumerate(tables)
        if Block.of(table).name in task.config.colour_free
    )
    loader = BatchLoader(
        CorpusStore(Corpus.open(task.corpus_root)),
        task.config.model.image_size,
        info.mean,
        info.std,
        task.config.augmentation,
        colour_free,
        task.threads,
    )
    progress = Progress(task, f"round-{task.number:03d} train", rank, sum(map(len, plans)))
    block_losses: tuple[float, ...] = ()
    slices = (plan.slice(rank, world) for plan in plans)
    for plan, (_, images) in zip(plans, loader.iterate(slices), strict=True):
        result = stage.step(images, plan)
        block_losses = result.block_losses
        progress.add(len(plan), result.loss, result.term_losses)
        done = plan.step + 1
        if done % task.config.compute.checkpoint_every == 0 and done < training.steps_per_round:

            def files(done: int = done) -> dict[str, bytes]:
                return checkpoint_files(stage, info, task, tables, done)

            with saved(rank, files) as checkpoint:
                ray.train.report({"step": done}, checkpoint=checkpoint)
    if rank == 0:
        made = checkpoint_files(stage, info, task, tables, training.steps_per_round)
        place = (task.out / CHECKPOINT).clear()
        for name, data in {**made, **text_files(task, tables)}.items():
            (place / name).write_bytes(data)
        # Ray Train keeps metrics only beside a checkpoint of its own.
        facts = {**progress.facts(), "block_losses": list(block_losses)}
        (task.out / FACTS).write_json(facts)
    ray.train.report({})


def build_stage(
    task: TrainTask, tables: Sequence[pa.Table], device: Any
) -> tuple[StageOne, EncoderInfo]:
    """Encoder of the round before, fresh memories of this round's clusters, optimizer carried on.

    Stage III begins with a fresh optimizer and a learning rate of its own: its loss is another one.
    """
    import torch

    from itkm_core.learning.heterogeneous import StageThree
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.memory import ClusterMemory
    from pipelines.training.links import links_of

    encoder, info = task.source.load(device=device)
    config, training = task.config, task.training
    memories = [ClusterMemory(torch.from_numpy(read_centroids(place))) for place in task.labels]
    stage: StageOne
    if task.heterogeneous:
        stage = StageThree(
            encoder,
            memories,
            training,
            total_steps=config.heterogeneous_rounds * training.steps_per_round,
            options=config.heterogeneous,
            links=links_of(task, tables),
        )
    else:
        total = config.homogeneous_rounds * training.steps_per_round
        stage = StageOne(encoder, memories, training, total_steps=total)
    if task.previous is not None:
        place = task.previous / TRAINING
        stage.load_state_dict(read_state(place.read_bytes(), str(place)), memories=False)
    return stage, info


def resume_step(stage: StageOne, checkpoint: Any) -> int:
    """The step of the round to go on from: after the last mid-round checkpoint, if there is one."""
    from safetensors.torch import load_file

    if checkpoint is None:
        return 0
    with opened(checkpoint) as folder:
        state = read_state((folder / TRAINING).read_bytes(), f"{checkpoint.path}/{TRAINING}")
        weights = load_file(folder / WEIGHTS)
        done = json.loads((folder / STATE).read_text())["step"]
    stage.encoder.load_state_dict({name: value.to(stage.device) for name, value in weights.items()})
    stage.load_state_dict(state)
    return int(done)


def checkpoint_files(
    stage: StageOne, info: EncoderInfo, task: TrainTask, tables: Sequence[pa.Table], step: int
) -> dict[str, bytes]:
    """Everything that must travel together, because its shapes depend on this round's clusters."""
    import pyarrow.parquet as pq
    import torch
    from safetensors.torch import save

    from itkm_core.model.weights import encoder_bytes

    training = io.BytesIO()
    torch.save(stage.state_dict(), training)
    labels = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), labels)
    names = [Block.of(table).name for table in tables]
    memories = {
        name: memory.centroids.cpu().contiguous()
        for name, memory in zip(names, stage.memories, strict=True)
    }
    state = {
        "round": task.number,
        "stage": "heterogeneous" if task.heterogeneous else "homogeneous",
        "step": step,
        "global_step": stage.global_step,
        "groups": names,
    }
    return {
        WEIGHTS: encoder_bytes(stage.encoder, info),
        "memory.safetensors": save(memories),
        TRAINING: training.getvalue(),
        "labels.parquet": labels.getvalue().to_pybytes(),
        STATE: json.dumps(state, indent=1).encode(),
    }


def text_files(task: TrainTask, tables: Sequence[pa.Table]) -> dict[str, bytes]:
    """Texts of clusters and images, and the prompts, for a round's last checkpoint; none without Stage II.

    Mid-round checkpoints leave them out: training does not change them, and the match steps hold them.
    """
    from safetensors.numpy import save

    if task.prompts is None:
        return {}
    arrays: dict[str, np.ndarray] = {}
    for block in map(Block.of, tables):
        texts = read_texts(task.matches[block.scenario], str(block.group))
        arrays[f"{block.name}/cluster"] = texts.clusters
        arrays[f"{block.name}/instance"] = texts.instances
    tokens = (task.prompts / "tokens.safetensors").read_bytes()
    return {TEXT: save(arrays), "prompts.safetensors": tokens}
