"""The memory a labelling task asks Ray for, and the refusal where no machine has it."""

from __future__ import annotations

import pyarrow.parquet as pq
import ray

from itkm_core.clustering.memory import LIBRARIES, estimate_memory, gigabytes
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import FeatureError, LabelError
from pipelines.label import GroupTask
from pipelines.spans import is_divided

READING = 3
"""Copies of a group's features while they are read: the table, one array of it, and its rows in order of id."""


def memory_needed(corpus: Corpus, task: GroupTask, known: int = 0) -> int:
    """Bytes to ask Ray for, about what labelling the group takes at its peak; `known`: images it is labelled against.

    Raises:
        LabelError: no machine of the cluster gives Ray as much, so that the task would wait for ever.
    """
    num_images = corpus.counts[(task.scenario, task.group, "train")] + known
    dimension = _dimension(task)
    needed = max(
        estimate_memory(
            num_images,
            dimension,
            k1=task.options["k1"],
            k2=task.options["k2"],
            backend=task.options["backend"],
            copies=2 if task.without_camera else 1,
            divided=is_divided(num_images),
        ),
        LIBRARIES + 4 * READING * num_images * dimension,
    )
    largest = max(
        (int(node["Resources"].get("memory", 0)) for node in ray.nodes() if node["Alive"]),
        default=0,
    )
    if needed > largest:
        raise LabelError(
            f"{task.scenario}/{task.group}: labelling {num_images:,} images with k1 = {task.options['k1']} "
            f"takes about {gigabytes(needed)}, and no machine of the cluster gives Ray more than "
            f"{gigabytes(largest)}: lower labels.k1, use machines with more memory, or start theirs with "
            "`ray start --memory` if they have it"
        )
    return needed


def _dimension(task: GroupTask) -> int:
    """D of the features, from the head of one of their files."""
    files = task.features.files(".parquet")
    if not files:
        raise FeatureError(f"{task.features}: no features there; delete the folder to redo it")
    fs, _ = task.features.resolve()
    with fs.open_input_file(files[0]) as source:
        return int(pq.read_schema(source).field("feature").type.list_size)
