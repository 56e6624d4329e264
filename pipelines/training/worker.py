"""What the workers of every training stage share: their data, the loop over the steps, rank 0's account."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import BatchPlan, GroupIndex, GroupLabels, plan_step
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.spread import Tracks
from itkm_core.errors import DivergedError, TrainingError
from itkm_core.learning.config import HomogeneousConfig, PromptConfig
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import read_labels
from pipelines.imports import uncollected
from pipelines.telemetry.meter import Meter, peak_memory
from pipelines.training.checkpoints import saved
from pipelines.training.tasks import WorkerTask

if TYPE_CHECKING:
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.prompts import StageTwo

Loop = Callable[[dict[str, Any]], None]

FACTS = "facts.json"
FAULT = "fault.json"  # an error that another try would repeat


def ends_on_fault(loop: Loop) -> Loop:
    """The worker's loop, except that on a TrainingError it writes fault.json and ends instead of raising.

    Every worker meets a TrainingError at the same step, and would again: raised, it would pass for a lost
    worker, and Ray Train would restart the group `max_failures` times, to the same end.
    """

    @functools.wraps(loop)
    def ending(loop_config: dict[str, Any]) -> None:
        with uncollected():
            import open_clip  # noqa: F401 - of which every stage makes its model
            import ray.train
            import ray.train.torch

        task: WorkerTask = loop_config["task"]
        rank = ray.train.get_context().get_world_rank()
        # Ray Train makes the actor before it gives it a rank, but the thread's name shows in stack traces.
        threading.current_thread().name = f"{task.kind}[stage-{task.stage}, rank {rank}]"
        if rank == 0:
            task.telemetry.set("itkm_loss_not_finite", 0, step=task.kind)
        try:
            loop(loop_config)
        except TrainingError as error:
            if rank == 0:
                if isinstance(error, DivergedError):
                    task.telemetry.set("itkm_loss_not_finite", 1, step=task.kind)
                (task.out / FAULT).write_json({"error": str(error)})

    return ending


class Progress:
    """Rank 0's account of a stage: sent to the board about once a second, with the facts at the end."""

    def __init__(self, task: WorkerTask, line: str, rank: int, images: int) -> None:
        self.task, self.rank = task, rank
        self.losses: list[float] = []
        self.terms: list[Mapping[str, float]] = []
        self.images = 0
        self.meter = Meter(task.telemetry)
        self.ready = time.time()
        self.first_done = 0.0
        self.first_images = 0
        if rank == 0:
            task.telemetry.begin(line, images)

    def add(self, images: int, loss: float, terms: Mapping[str, float]) -> None:
        """Count a step over `images` images, its loss, and the loss's terms by name."""
        self.losses.append(loss)
        self.terms.append(terms)
        self.images += images
        if len(self.losses) == 1:
            self.first_done, self.first_images = time.time(), images
        if self.rank == 0 and self.meter.add(images, f"loss {loss:.3f}"):
            for name, value in terms.items():
                self.task.telemetry.set("itkm_loss", value, term=name)

    def facts(self) -> dict[str, Any]:
        """For the manifest. The rate leaves out the first step, which warms everything up."""
        now = time.time()
        tail = slice(-max(1, len(self.losses) // 10), None)
        steady = (self.images - self.first_images) / max(now - self.first_done, 1e-9)
        names = self.terms[-1] if self.terms else {}
        return {
            "steps": len(self.losses),
            "first_loss": self.losses[0] if self.losses else None,
            "loss": float(np.mean(self.losses[tail])) if self.losses else None,
            "term_losses": {
                name: float(np.mean([terms[name] for terms in self.terms[tail]])) for name in names
            },
            "images_per_second": steady,
            "start_seconds": self.ready - self.task.asked,
            "train_seconds": now - self.ready,
            "peak_memory_bytes": peak_memory(),
        }


class Worker:
    """One worker of a stage: its place among the others, its label tables, and the steps they give."""

    def __init__(self, task: WorkerTask) -> None:
        import ray.train
        import torch

        torch.set_num_threads(task.threads)
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.task = task
        self.tables = [read_labels(place) for place in task.labels]
        self.indices = group_indices(self.tables, task.scenarios, tracks_of(task))

    def plans(
        self, config: HomogeneousConfig | PromptConfig, *, round: int, steps: range
    ) -> Iterator[BatchPlan]:
        """The whole batch of each step; this worker's share is `plan.slice(rank, world)`."""
        for step in steps:
            yield plan_step(
                self.indices,
                clusters_per_group=config.clusters_per_group,
                images_per_cluster=config.images_per_cluster,
                seed=self.task.config.seed,
                round=round,
                step=step,
            )

    def run(
        self,
        stage: StageOne | StageTwo,
        batches: Iterable[tuple[BatchPlan, Any]],
        progress: Progress,
        *,
        total: int,
        files: Callable[[int], Mapping[str, bytes]],
    ) -> Any:
        """Do the steps that are left of `total`, with a checkpoint now and then. Returns the last one's result,
        None if none was left.

        batches: of each step the whole plan, and the worker's share of its images. files: of a checkpoint after so
        many steps.
        """
        import ray.train

        result = None
        for plan, batch in batches:
            result = stage.step(batch, plan)
            progress.add(len(plan), result.loss, result.term_losses)
            done = plan.step + 1
            if done % self.task.config.compute.checkpoint_every == 0 and done < total:
                with saved(self.rank, partial(files, done)) as checkpoint:
                    ray.train.report({"step": done}, checkpoint=checkpoint)
        return result


def tracks_of(task: WorkerTask) -> Tracks | None:
    """Where and when each image is from, by sample id; None without tracklets or with `labels.links=off`."""
    corpus = Corpus.open(task.corpus_root)
    if not corpus.has_tracklets or task.config.labels.links == "off":
        return None
    index = corpus.index(["camera", "tracklet", "frame"])
    return Tracks(*(column.to_numpy().astype(np.int64) for column in index.columns))


def group_indices(
    tables: Sequence[pa.Table], scenarios: Sequence[str], tracks: Tracks | None = None
) -> list[GroupIndex]:
    """One index per label table. A scenario's number is its place in `scenarios`; tracks: by sample id."""
    indices = []
    for table in tables:
        block, ids = Block.of(table), table["sample_id"].to_numpy()
        where = (list(scenarios).index(block.scenario), block.group)
        mine = None if tracks is None else tracks.rows(ids)
        labels = GroupLabels(*where, ids, table["label"].to_numpy(), mine)
        indices.append(GroupIndex.from_labels(labels))
    return indices
