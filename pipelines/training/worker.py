"""What the workers of every training stage share: their task, mid-stage checkpoints, rank 0's account."""

from __future__ import annotations

import functools
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.sampling import GroupIndex, GroupLabels
from itkm_core.errors import DivergedError, StorageError, TrainingError
from itkm_core.storage.object_store import patiently
from pipelines.artifacts.blocks import Block
from pipelines.telemetry.meter import Meter, peak_memory
from pipelines.training.tasks import WorkerTask

Loop = Callable[[dict[str, Any]], None]

FACTS = "facts.json"
FAULT = "fault.json"  # an error that trying again would not mend
STATE = "state.json"  # in every checkpoint; its "step" is the number of steps done


def ends_on_fault(loop: Loop) -> Loop:
    """A worker's loop, under its name, that leaves a TrainingError in fault.json and ends, instead of raising it.

    Every worker comes to a TrainingError at the same step, and would again: raised, it would be taken for
    a lost worker, and Ray Train would start the group over, `max_failures` times, to the same end.
    """

    @functools.wraps(loop)
    def ending(loop_config: dict[str, Any]) -> None:
        import ray.train

        task: WorkerTask = loop_config["task"]
        rank = ray.train.get_context().get_world_rank()
        # Ray Train makes the actor before it gives it a rank. Its thread can have the name: stack traces show it.
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


class saved:
    """A mid-stage checkpoint in a temporary folder, on rank 0; None on the others."""

    def __init__(self, rank: int, files: Callable[[], Mapping[str, bytes]]) -> None:
        self.rank, self.files = rank, files
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Any:
        from ray.train import Checkpoint

        if self.rank != 0:
            return None
        self.folder = tempfile.TemporaryDirectory(prefix="itkm-")
        for name, data in self.files().items():
            (Path(self.folder.name) / name).write_bytes(data)
        return Checkpoint.from_directory(self.folder.name)

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self.folder.cleanup()


@contextmanager
def opened(checkpoint: Any) -> Iterator[Path]:
    """The files of a mid-stage checkpoint in a local folder, which the workers of a node share."""
    with ExitStack() as stack:
        yield Path(patiently(lambda: stack.enter_context(checkpoint.as_directory())))


class Progress:
    """Rank 0's account of a stage: to the board about once a second, and the facts at the end."""

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
        """Count a step over `images` pictures, its loss and the loss's terms by name."""
        self.losses.append(loss)
        self.terms.append(terms)
        self.images += images
        if len(self.losses) == 1:
            self.first_done, self.first_images = time.time(), images
        if self.rank == 0 and self.meter.add(images, f"loss {loss:.3f}"):
            for name, value in terms.items():
                self.task.telemetry.set("itkm_loss", value, term=name)

    def facts(self) -> dict[str, Any]:
        """For the manifest. The rate leaves the first step out, which warms everything up."""
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


def group_indices(tables: Sequence[pa.Table], scenarios: Sequence[str]) -> list[GroupIndex]:
    """One index per label table, with scenarios numbered by their place in `scenarios`."""
    return [
        GroupIndex.from_labels(
            GroupLabels(
                list(scenarios).index(Block.of(table).scenario),
                Block.of(table).group,
                table["sample_id"].to_numpy(),
                table["label"].to_numpy(),
            )
        )
        for table in tables
    ]


def read_state(data: bytes, name: str) -> Any:
    """What `torch.save` wrote, on the CPU. Nothing in the file is executed: a pickle with code in it is refused.

    name: the file, for the error.

    Raises:
        StorageError: the file is damaged, or holds anything but tensors and plain values.
    """
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # hostile bytes surface as any of a dozen types
        said = " ".join(str(error).split())[:200]
        # No TrainingError: all workers would come to that at the same step, this may be one machine's disk.
        raise StorageError(
            f"{name} is damaged, or holds more than tensors and plain values, and was not read ({said}): delete the "
            "step's folder to do it again"
        ) from error
