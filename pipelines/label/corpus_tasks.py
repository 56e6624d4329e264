"""The tasks by which `itkm label --corpus` keeps an index of a group, and labels a group against one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from itkm_core.clustering.cameras import camera_means
from itkm_core.corpus.schema import Corpus, cameras_of
from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import NEIGHBORS, label_table, read_labels
from pipelines.artifacts.run_folder import digest_of
from pipelines.label.against import Against, facts_of, known_images, notes_of
from pipelines.label.index import GroupRecord, write_group
from pipelines.run.steps import RunContext
from pipelines.steps.encoders import WEIGHTS
from pipelines.steps.label import GroupTask, group_features


def index_group(task: GroupTask, index: Place, first_id: int) -> GroupRecord:
    """Write the index of a group that was labelled alone: the body of a Ray task.

    Its images have the corpus' ids in the step's table, and in the index `first_id` more.
    """
    ids, features, compared = group_features(task)
    table, asked = read_labels(task.out), (task.out / "parameters.json").read_json()
    labels = table["label"].to_numpy(), table["is_core"].to_numpy(zero_copy_only=False)
    neighbors = task.out / NEIGHBORS
    known = known_images(compared, first_id + ids, *labels, neighbors.read_array())
    means = None
    if task.without_camera:
        means = camera_means(features, cameras_of(Corpus.open(task.corpus_root), ids))
    record = write_group(index, task.block.file_name, known, asked, means)
    neighbors.remove()  # the index has them; not before, for a task that dies is run again
    return record


def arrive_group(
    task: GroupTask, against: Against, index: Place, first_id: int
) -> tuple[dict[str, Any], list[str], GroupRecord]:
    """Label a group against the one of that name, as `label_group` and `index_group`: the body of a Ray task.

    Returns its line of the table, notes, and its record in the index.
    """
    from pipelines.steps.label_spans import group_workers

    name = task.block.name
    ids, features, _ = group_features(replace(task, without_camera=False))
    cameras = cameras_of(Corpus.open(task.corpus_root), ids) if task.without_camera else None
    num_images = against.index.groups[name].num_images + len(ids)
    workers = group_workers(f"label[{name}]", num_images)
    found, means = against.label(name, features, first_id + ids, cameras, workers)
    table = label_table(task.block, ids, found.labels, found.is_core, found.confidence)
    out = task.out.clear()
    (out / "labels.parquet").write_table(table)
    (out / "parameters.json").write_json(found.parameters)
    record = write_group(index, task.block.file_name, found.known, found.parameters, means)
    return facts_of(name, found), notes_of(name, found), record


def encoder_record(context: RunContext) -> dict[str, Any]:
    """What features of other images must have in common with these, to be compared."""
    config = context.config
    if context.checkpoint is not None:
        weights = digest_of((context.checkpoint / WEIGHTS).read_bytes())
        return {"weights": weights, "extract_precision": config.extract_precision}
    return {
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
        "scenario_embedding": config.components.scenario_embedding,
        # A fresh embedding has a row for each, in this order.
        "scenarios": list(context.corpus.scenarios),
        "extract_precision": config.extract_precision,
    }


def check_encoder(against: Against, record: dict[str, Any]) -> None:
    """Raises ConfigError unless the known features are of this encoder, or of one that is not recorded."""
    theirs = against.index.encoder
    if theirs is None or theirs == record:
        return
    names = [name for name in (*theirs, *record) if theirs.get(name) != record.get(name)]
    shown = "\n  ".join(
        f"{name}: {theirs.get(name)!r} there, {record.get(name)!r} now"
        for name in dict.fromkeys(names)
    )
    raise ConfigError(
        f"--against {against.run}: its features are of another encoder, and cannot be compared:\n  {shown}\n"
        "Give the --checkpoint and the configuration its labels were made with."
    )
