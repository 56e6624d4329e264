"""Ray Train's trainers, without the processes and imports that a training of ours has no use for. [ours]"""

from __future__ import annotations

from typing import Any

from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer


class OneWorker(DataParallelTrainer):
    """One worker needs no process group, so neither the driver nor Ray Train's controller has to load torch."""

    def _create_default_callbacks(self) -> list[Any]:
        return without_datasets(super()._create_default_callbacks())


def trainer_of(num_workers: int) -> type[DataParallelTrainer]:
    """The trainer for so many workers; several share a process group of torch."""
    if num_workers == 1:
        return OneWorker
    from ray.train.torch import TorchTrainer

    class Workers(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            return without_datasets(super()._create_default_callbacks())

    return Workers


def without_datasets(callbacks: list[Any]) -> list[Any]:
    """Ray Train starts a process that hands out Ray Datasets, also where there are none: batches are planned here."""
    return [each for each in callbacks if type(each).__name__ != "DatasetsCallback"]
