"""What each worker of a round's training does. The arithmetic is itkm_core's; this file brings it the data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.schema import Corpus
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import read_centroids
from pipelines.artifacts.texts import read_texts
from pipelines.steps.encoders import WEIGHTS
from pipelines.training.checkpoints import STATE, read_state, record_bytes, resume, state_bytes
from pipelines.training.tasks import TrainTask
from pipelines.training.worker import FACTS, Progress, Worker, ends_on_fault

if TYPE_CHECKING:
    from itkm_core.corpus.loader import BatchLoader
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

    task: TrainTask = loop_config["task"]
    training, total = task.training, task.training.steps_per_round
    worker = Worker(task)
    tables = worker.tables
    stage, info = build_stage(task, tables, device=ray.train.torch.get_device())
    first = resume_step(stage, ray.train.get_checkpoint())
    plans = list(worker.plans(training, round=task.number, steps=range(first, total)))
    loader = batch_loader(task, tables, info)
    slices = (plan.slice(worker.rank, worker.world) for plan in plans)
    images = (images for _, images in loader.iterate(slices))
    line = f"round-{task.number:03d} train"
    progress = Progress(task, line, worker.rank, sum(map(len, plans)))
    files = partial(checkpoint_files, stage, info, task, tables)
    batches = zip(plans, images, strict=True)
    last = worker.run(stage, batches, progress, total=total, files=files)
    if worker.rank == 0:
        place = (task.out / CHECKPOINT).clear()
        for name, data in {**files(total), **text_files(task, tables)}.items():
            (place / name).write_bytes(data)
        # Ray Train keeps metrics only beside a checkpoint of its own.
        block_losses = list(last.block_losses) if last else []
        (task.out / FACTS).write_json({**progress.facts(), "block_losses": block_losses})
    ray.train.report({})


def batch_loader(task: TrainTask, tables: Sequence[pa.Table], info: EncoderInfo) -> BatchLoader:
    """What loads the pictures of a plan, whose blocks are those of the label tables."""
    from itkm_core.corpus.loader import BatchLoader
    from itkm_core.corpus.store import CorpusStore

    corpus, blocks = Corpus.open(task.corpus_root), [Block.of(table) for table in tables]
    colourless, derived = task.config.colour_free, corpus.in_other_clothes
    return BatchLoader(
        CorpusStore(corpus),
        task.config.model.image_size,
        info.mean,
        info.std,
        [task.config.augmentation.of(*block) for block in blocks],
        frozenset(number for number, block in enumerate(blocks) if block.name in colourless),
        task.threads,
        frozenset(number for number, block in enumerate(blocks) if block in derived),
        task.config.seed,
    )


def build_stage(
    task: TrainTask, tables: Sequence[pa.Table], device: Any
) -> tuple[StageOne, EncoderInfo]:
    """The encoder of the round before, fresh memories of this round's clusters, and the optimizer carried over.

    Stage III starts with a fresh optimizer and its own learning rate, since its loss is a different one.
    """
    import torch

    from itkm_core.learning.heterogeneous import StageThree
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.memory import ClusterMemory
    from pipelines.training.links import links_of

    encoder, info = task.source.load(device=device)
    config, training = task.config, task.training
    if config.model.freeze_patches:
        encoder.freeze_patches()
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
    """Restore the stage from the last mid-round checkpoint, if there is one. Returns the step to continue with."""
    from safetensors.torch import load_file

    def load(folder: Path, state: Any) -> None:
        weights = load_file(folder / WEIGHTS)
        stage.encoder.load_state_dict(
            {name: value.to(stage.device) for name, value in weights.items()}
        )
        stage.load_state_dict(state)

    return resume(checkpoint, TRAINING, load)


def checkpoint_files(
    stage: StageOne, info: EncoderInfo, task: TrainTask, tables: Sequence[pa.Table], step: int
) -> dict[str, bytes]:
    """A checkpoint's files, which belong together: their shapes depend on this round's clusters."""
    import pyarrow.parquet as pq
    from safetensors.torch import save

    from itkm_core.model.weights import encoder_bytes

    labels = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), labels)
    names = [Block.of(table).name for table in tables]
    memories = {
        name: memory.centroids.cpu().contiguous()
        for name, memory in zip(names, stage.memories, strict=True)
    }
    return {
        WEIGHTS: encoder_bytes(stage.encoder, info),
        "memory.safetensors": save(memories),
        TRAINING: state_bytes(stage.state_dict()),
        "labels.parquet": labels.getvalue().to_pybytes(),
        STATE: record_bytes(
            round=task.number,
            stage="heterogeneous" if task.heterogeneous else "homogeneous",
            step=step,
            global_step=stage.global_step,
            groups=names,
        ),
    }


def text_files(task: TrainTask, tables: Sequence[pa.Table]) -> dict[str, bytes]:
    """Texts of clusters and images, and the prompts, for a round's last checkpoint; nothing without Stage II.

    Mid-round checkpoints leave them out: training does not change them, and the match steps have them.
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
