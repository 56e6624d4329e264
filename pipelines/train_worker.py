"""What each worker of a round's training does. The arithmetic is itkm_core's; this brings it the data."""

from __future__ import annotations

import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import BatchPlan, GroupIndex, GroupLabels, plan_step
from itkm_core.corpus.schema import Corpus
from pipelines.config import RunConfig
from pipelines.encoders import WEIGHTS, EncoderSource
from pipelines.label import read_centroids, read_labels
from pipelines.storage import Place
from pipelines.telemetry import Meter, Telemetry

if TYPE_CHECKING:
    from itkm_core.learning.homogeneous import StageOne, StepResult
    from itkm_core.model.weights import EncoderInfo

CHECKPOINT = "checkpoint"
FACTS = "facts.json"


@dataclass(frozen=True)
class TrainTask:
    """What one worker of a round's training needs, small enough to send."""

    config: RunConfig
    corpus_root: str
    source: EncoderSource
    number: int  # of the round, from 1
    labels: tuple[Place, ...]  # label steps, in the order of the plan's blocks
    previous: Place | None  # checkpoint of the round before
    out: Place
    threads: int
    telemetry: Telemetry
    asked: float  # time.time() when the driver asked for the workers


def train_loop(loop_config: dict[str, Any]) -> None:
    """One worker's round: the steps that are left, then (on rank 0) the round's checkpoint."""
    import ray.train
    import ray.train.torch
    import torch

    from itkm_core.corpus.loader import BatchLoader
    from itkm_core.corpus.store import CorpusStore

    task: TrainTask = loop_config["task"]
    stage_config = task.config.homogeneous
    torch.set_num_threads(task.threads)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    corpus = Corpus.open(task.corpus_root)
    tables = [read_labels(place) for place in task.labels]
    indices = group_indices(tables, corpus.scenarios)
    stage, info = build_stage(task, device=ray.train.torch.get_device())
    first = resume_step(stage, ray.train.get_checkpoint())
    plans = [
        plan_step(
            indices,
            clusters_per_group=stage_config.clusters_per_group,
            images_per_cluster=stage_config.images_per_cluster,
            seed=task.config.seed,
            round=task.number,
            step=step,
        )
        for step in range(first, stage_config.steps_per_round)
    ]
    colour_free = frozenset(
        block
        for block, table in enumerate(tables)
        if f"{table['scenario'][0]}/{table['group'][0]}" in task.config.colour_free
    )
    loader = BatchLoader(
        CorpusStore(corpus),
        task.config.model.image_size,
        info.mean,
        info.std,
        task.config.augmentation,
        colour_free,
        task.threads,
    )
    progress = _Progress(task, rank, sum(map(len, plans)))
    slices = (plan.slice(rank, world) for plan in plans)
    for plan, (_, images) in zip(plans, loader.iterate(slices), strict=True):
        result = stage.step(images, plan)
        progress.add(plan, result)
        done = plan.step + 1
        if done % task.config.compute.checkpoint_every == 0 and done < stage_config.steps_per_round:
            with _saved(stage, info, task, tables, done, rank) as checkpoint:
                ray.train.report({"step": done}, checkpoint=checkpoint)
    if rank == 0:
        files = checkpoint_files(stage, info, task, tables, stage_config.steps_per_round)
        place = (task.out / CHECKPOINT).clear()
        for name, data in files.items():
            (place / name).write_bytes(data)
        # Ray Train keeps metrics only beside a checkpoint of its own.
        (task.out / FACTS).write_json(progress.facts())
    ray.train.report({})


def group_indices(tables: list[pa.Table], scenarios: tuple[str, ...]) -> list[GroupIndex]:
    """One index per label table, with scenarios numbered as the corpus sorts them."""
    return [
        GroupIndex.from_labels(
            GroupLabels(
                scenarios.index(table["scenario"][0].as_py()),
                table["group"][0].as_py(),
                table["sample_id"].to_numpy(),
                table["label"].to_numpy(),
            )
        )
        for table in tables
    ]


def build_stage(task: TrainTask, device: Any) -> tuple[StageOne, EncoderInfo]:
    """Encoder of the round before, fresh memories of this round's clusters, optimizer carried on."""
    import torch

    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.memory import ClusterMemory

    encoder, info = task.source.load(device=device)
    config = task.config
    stage = StageOne(
        encoder,
        [ClusterMemory(torch.from_numpy(read_centroids(place))) for place in task.labels],
        config.homogeneous,
        total_steps=config.rounds * config.homogeneous.steps_per_round,
    )
    if task.previous is not None:
        data = io.BytesIO((task.previous / "training.pt").read_bytes())
        state = torch.load(data, map_location="cpu", weights_only=True)
        stage.load_state_dict(state, memories=False)
    return stage, info


def resume_step(stage: StageOne, checkpoint: Any) -> int:
    """The step of the round to go on from: after the last mid-round checkpoint, if there is one."""
    import torch
    from safetensors.torch import load_file

    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        state = torch.load(Path(folder) / "training.pt", map_location="cpu", weights_only=True)
        weights = load_file(Path(folder) / WEIGHTS)
        done = json.loads((Path(folder) / "state.json").read_text())["step"]
    stage.encoder.load_state_dict({name: value.to(stage.device) for name, value in weights.items()})
    stage.load_state_dict(state)
    return int(done)


def checkpoint_files(
    stage: StageOne, info: EncoderInfo, task: TrainTask, tables: list[pa.Table], step: int
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
    names = [f"{table['scenario'][0]}/{table['group'][0]}" for table in tables]
    memories = {
        name: memory.centroids.cpu().contiguous()
        for name, memory in zip(names, stage.memories, strict=True)
    }
    state = {"round": task.number, "step": step, "global_step": stage.global_step, "groups": names}
    return {
        WEIGHTS: encoder_bytes(stage.encoder, info),
        "memory.safetensors": save(memories),
        "training.pt": training.getvalue(),
        "labels.parquet": labels.getvalue().to_pybytes(),
        "state.json": json.dumps(state, indent=1).encode(),
    }


class _saved:
    """A mid-round checkpoint in a temporary folder, on rank 0; None on the others."""

    def __init__(self, *args: Any) -> None:
        *self.parts, self.rank = args
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Any:
        from ray.train import Checkpoint

        if self.rank != 0:
            return None
        self.folder = tempfile.TemporaryDirectory(prefix="itkm-")
        for name, data in checkpoint_files(*self.parts).items():
            (Path(self.folder.name) / name).write_bytes(data)
        return Checkpoint.from_directory(self.folder.name)

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self.folder.cleanup()


class _Progress:
    """Rank 0's account of the round: to the board about once a second, and the facts at the end."""

    def __init__(self, task: TrainTask, rank: int, images: int) -> None:
        self.task, self.rank = task, rank
        self.losses: list[float] = []
        self.images = 0
        self.meter = Meter(task.telemetry)
        self.ready = time.time()
        self.first_done = 0.0
        self.first_images = 0
        self.block_losses: tuple[float, ...] = ()
        if rank == 0:
            task.telemetry.begin(f"round-{task.number:03d} train", images)

    def add(self, plan: BatchPlan, result: StepResult) -> None:
        self.losses.append(result.loss)
        self.block_losses = result.block_losses
        self.images += len(plan)
        now = time.time()
        if len(self.losses) == 1:
            self.first_done, self.first_images = now, len(plan)
        if self.rank == 0 and self.meter.add(len(plan), f"loss {result.loss:.3f}"):
            self.task.telemetry.set("itkm_loss", result.loss, term="homogeneous")

    def facts(self) -> dict[str, Any]:
        """For the manifest. The rate leaves the first step out, which warms everything up."""
        now = time.time()
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        steady = (self.images - self.first_images) / max(now - self.first_done, 1e-9)
        return {
            "steps": len(self.losses),
            "first_loss": self.losses[0] if self.losses else None,
            "loss": float(np.mean(tail)) if tail else None,
            "block_losses": list(self.block_losses),
            "images_per_second": steady,
            "start_seconds": self.ready - self.task.asked,
            "train_seconds": now - self.ready,
        }
