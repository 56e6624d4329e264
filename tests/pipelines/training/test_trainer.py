"""Ray Train's trainers with less beside the workers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import ray.train
from ray.train.torch import TorchTrainer
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from pipelines.training.trainer import OneWorker, trainer_of

ONE_WORKER = """
import sys
from pipelines.training.trainer import trainer_of
trainer_of(1)(print)
assert "torch" not in sys.modules
"""


def callbacks(trainer: type[DataParallelTrainer], workers: int) -> list[str]:
    made = trainer(print, scaling_config=ray.train.ScalingConfig(num_workers=workers))
    return [type(each).__name__ for each in made._create_default_callbacks()]


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_but_the_datasets_is_left_out(workers: int) -> None:
    given = callbacks(TorchTrainer, workers)
    assert "DatasetsCallback" in given
    given.remove("DatasetsCallback")
    assert callbacks(trainer_of(workers), workers) == given


def test_only_several_workers_get_a_process_group() -> None:
    assert trainer_of(1) is OneWorker
    assert not issubclass(OneWorker, TorchTrainer)
    assert issubclass(trainer_of(2), TorchTrainer)


def test_a_driver_of_one_worker_does_not_load_torch() -> None:
    subprocess.run([sys.executable, "-c", ONE_WORKER], check=True, timeout=120)
