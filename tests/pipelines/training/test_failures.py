"""What comes of a Ray Train job that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.train import TrainingFailedError, WorkerGroupError

from itkm_core.errors import LabelError, TrainingError
from itkm_core.storage.place import Place
from pipelines.config import load_config
from pipelines.steps.encoders import EncoderSource
from pipelines.telemetry.handle import Telemetry
from pipelines.training.jobs import run_workers
from pipelines.training.tasks import TrainTask
from pipelines.training.trainer import OneWorker


@pytest.fixture
def train(local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """train(error): a job that ends with it."""
    config = load_config("tiny")
    task = TrainTask(
        config=config,
        scenarios=("uvi",),
        number=1,
        labels=(),
        out=Place.at(tmp_path),
        telemetry=Telemetry(),
        corpus_root="",
        source=EncoderSource(config.model, ("uvi",), seed=0),
        previous=None,
    )

    def run(error: Exception) -> None:
        def fit(_: OneWorker) -> None:
            raise error

        monkeypatch.setattr(OneWorker, "fit", fit)
        run_workers(print, task, last_good="The last good one is of the round before.")

    return run


@pytest.mark.ray
def test_a_users_error_in_a_worker_is_one_line_and_names_the_last_checkpoint(
    train: Any, tmp_path: Path
) -> None:
    error = WorkerGroupError("a trace", {1: LabelError("no cluster")})
    with pytest.raises(TrainingError, match=r"^no cluster\. The last good one is of the round"):
        train(error)
    checkpoint = tmp_path / "ray_train/job/checkpoint_1"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    with pytest.raises(TrainingError, match=rf"The last good checkpoint is {checkpoint}\."):
        train(error)


@pytest.mark.ray
@pytest.mark.parametrize(
    "error",
    [WorkerGroupError("a trace", {0: IndexError("ours")}), TrainingFailedError("controller")],
)
def test_a_fault_stays_one_and_names_the_last_checkpoint(train: Any, error: Exception) -> None:
    with pytest.raises(TrainingFailedError) as found:
        train(error)
    assert found.value is error
    assert found.value.__notes__ == ["The last good one is of the round before."]
