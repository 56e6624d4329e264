"""The bodies of the Ray tasks of `itkm label --corpus`: they read a block's images, and write what `group.py` finds.

A block that is labelled alone takes two tasks, `label_block` and `index_block`, since the index of an earlier call
has to stay until every block has its labels.
"""

from __future__ import annotations

from typing import Any

from itkm_core.clustering.centroids import cluster_means
from itkm_core.neighbors.workers import Workers
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import NEIGHBORS, read_labels
from pipelines.artifacts.run_folder import STEP_FILES
from pipelines.label.against import Against
from pipelines.label.group import PARAMETERS_FILE, Images, label_images, sweep_images
from pipelines.label.index import GroupRecord, write_group
from pipelines.label.output import Labelled
from pipelines.steps.label import GroupTask, group_features, group_links
from pipelines.steps.label_spans import group_workers


def label_block(
    task: GroupTask, first_id: int, against: Against | None = None, index: Place | None = None
) -> Labelled:
    """Label a block, and write labels.parquet and parameters.json.

    A block that `against` knows is also written to `index`. For one that is labelled alone, and has no `index` yet,
    there are also centroids.npy, and the neighbour lists for `index_block`.
    """
    images = _images(task, first_id)
    name, num_images = task.block.name, len(images.ids)
    if against is not None and against.knows(name):
        num_images += against.index.groups[name].num_images
    workers = _workers("label", task, num_images)
    found = label_images(images, task.options, against, workers)
    out = task.out.clear(*STEP_FILES)
    (out / "labels.parquet").write_table(found.table)
    (out / PARAMETERS_FILE).write_json(found.parameters)
    record = None
    if index is not None:
        record = found.write_index(index)
    else:
        labels = found.table["label"].to_numpy()
        (out / "centroids.npy").write_array(cluster_means(images.features, labels))
        (out / NEIGHBORS).write_array(found.known.lists)
    return Labelled(found.parameters, found.facts, found.notes, record)


def index_block(task: GroupTask, index: Place, first_id: int) -> GroupRecord:
    """Write the index of a block that `label_block` has labelled alone."""
    images = _images(task, first_id)
    rows, means = images.compared()
    table, parameters = read_labels(task.out), (task.out / PARAMETERS_FILE).read_json()
    labels, is_core = table["label"].to_numpy(), table["is_core"].to_numpy(zero_copy_only=False)
    neighbors = task.out / NEIGHBORS
    known = images.known(rows, labels, is_core, neighbors.read_array())
    record = write_group(
        index, task.block.file_name, known, parameters, means, largest_id=images.largest_id
    )
    neighbors.remove()  # the index has them; not earlier, since a task that dies is run again
    return record


def sweep_block(task: GroupTask) -> tuple[dict[str, Any], list[str]]:
    """As `sweep_images`."""
    images = _images(task)
    return sweep_images(images, task.options, _workers("sweep", task, len(images.ids)))


def _images(task: GroupTask, first_id: int = 0) -> Images:
    ids, features, cameras = group_features(task)
    return Images(task.block, ids, features, cameras, first_id, group_links(task, ids))


def _workers(kind: str, task: GroupTask, num_images: int) -> Workers:
    return group_workers(f"{kind}[{task.block.name}]", num_images, task.telemetry)
