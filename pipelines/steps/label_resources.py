"""The memory and GPUs that a labelling task asks Ray for, and the refusal if no machine has them."""

from __future__ import annotations

import pyarrow.parquet as pq

from itkm_core.clustering.footprint import LIBRARIES, estimate_memory, gigabytes
from itkm_core.clustering.options import LabelOptions
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import FeatureError, LabelError
from pipelines.artifacts.features import feature_files, seen_from_here
from pipelines.config import RunConfig
from pipelines.steps.label import GroupTask
from pipelines.steps.label_spans import gpus_to_label, is_divided
from pipelines.steps.workers import living_machines

READING = 3
"""Copies of a block's features while they are read: the table, an array of it, and its rows in order of id."""


def resources_needed(
    corpus: Corpus, task: GroupTask, config: RunConfig, known: int = 0
) -> dict[str, float]:
    """What to ask Ray for: `memory`, about the bytes that labelling the block takes at its peak, and `gpus`.

    No GPU is asked for if no machine has both it and the memory. `known`: images the block is labelled against.

    Raises:
        LabelError: no machine of the cluster gives Ray that much, so the task would wait forever.
    """
    num_images = corpus.counts[(*task.block, "train")] + known
    needed = task_memory(
        num_images, _dimension(task), task.options, without_camera=task.without_camera
    )
    # Not a head that takes no tasks.
    machines = [machine for machine in living_machines() if machine.get("CPU", 0) >= 1]
    gpus = gpus_to_label(num_images, config.compute.gpus_per_label, config.labels.dbscan)
    if not any(m.get("GPU", 0) >= gpus and m.get("memory", 0) >= needed for m in machines):
        gpus = 0.0
    largest = max((int(machine.get("memory", 0)) for machine in machines), default=needed)
    if needed > largest:
        raise LabelError(
            f"{task.block.name}: labelling {num_images:,} images with k1 = {task.options.k1} "
            f"takes about {gigabytes(needed)}, and no machine of the cluster gives Ray more than "
            f"{gigabytes(largest)}: lower labels.k1, use machines with more memory, or if they have more, start "
            "Ray on them with `ray start --memory`"
        )
    return {"memory": needed, "gpus": gpus}


def task_memory(
    num_images: int, dimension: int, options: LabelOptions, *, without_camera: bool
) -> int:
    """Bytes about that labelling a group takes at its peak, its features read and compared as `options` say."""
    estimate = estimate_memory(
        num_images,
        dimension,
        k1=options.k1,
        k2=options.k2,
        backend=options.backend,
        copies=2 if without_camera else 1,
        divided=is_divided(num_images),
    )
    return max(estimate, LIBRARIES + 4 * READING * num_images * dimension)


def _dimension(task: GroupTask) -> int:
    """D of the features, from the head of one of their files."""
    files = feature_files(task.features)
    if not files:
        raise FeatureError(f"{task.features}: no features there; delete the folder to redo it")
    fs, _ = task.features.resolve()
    with seen_from_here(task.features), fs.open_input_file(files[0]) as source:
        return int(pq.read_schema(source).field("feature").type.list_size)
