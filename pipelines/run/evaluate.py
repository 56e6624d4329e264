"""`itkm evaluate`: the scores of a run, or the means of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from itkm_core.storage.place import Place
from pipelines.artifacts.run_folder import read_run
from pipelines.console import Console
from pipelines.run.mean_of_runs import mean_of_runs
from pipelines.run.tables import evaluation_table, evaluation_tables
from pipelines.steps.evaluate import newest_evaluation, write_evaluation


def print_scores(run_path: str, json_path: str | None, console: Console) -> None:
    """Print the tables of a run's newest evaluation, and where its JSON is.

    Raises:
        CorpusError: no round of the run was evaluated.
        StorageError: `json_path` is something else, or cannot be written.
    """
    folder, _ = read_run(Place.at(run_path))
    name, result = newest_evaluation(folder)
    for table in evaluation_tables(result, name):
        console.print(table)
    where = folder.step(name) / "evaluation.json"
    if json_path is not None:
        where = write_evaluation(Place.at(json_path), name, result)
    console.print(f"JSON                   {where}")


def print_mean(run_paths: Sequence[str], json_path: str | None, console: Console) -> None:
    """Print mean and sample deviation of the runs' retrieval scores, over images.

    Raises:
        ConfigError: the runs are not tested in the same way.
        CorpusError: no round of a run was evaluated.
        StorageError: `json_path` is something else, or cannot be written.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    for path in run_paths:
        folder, _ = read_run(Place.at(path))
        found.append(newest_evaluation(folder))
    rows = mean_of_runs(run_paths, [result["retrieval"] for _, result in found])
    console.print(evaluation_table(rows, f"retrieval, mean of {len(run_paths)} runs"))
    for path, (name, _) in zip(run_paths, found, strict=True):
        console.print(f"run                    {path} ({name})")
    if json_path is not None:
        steps = [
            {"run": path, "step": name} for path, (name, _) in zip(run_paths, found, strict=True)
        ]
        result = {"runs": steps, "retrieval": rows, "labels": []}
        where = write_evaluation(Place.at(json_path), f"mean of {len(run_paths)} runs", result)
        console.print(f"JSON                   {where}")
