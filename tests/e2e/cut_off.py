"""A training to which something happens when it has a checkpoint. Sent by value: workers cannot import this file."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

from ray import cloudpickle

from itkm_core.storage.place import Place

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def after_a_checkpoint(
    train_loop: Callable[[dict[str, Any]], None], step: Place, happens: Callable[[], None]
) -> Callable[[dict[str, Any]], None]:
    """`train_loop` of the step at `step`, in which `happens()` is called after every checkpoint."""

    @functools.wraps(train_loop)
    def loop(loop_config: dict[str, Any]) -> None:
        import ray.train

        report = ray.train.report

        def reported(metrics: dict[str, Any], checkpoint: Any = None, **options: Any) -> None:
            report(metrics, checkpoint=checkpoint, **options)
            if checkpoint is not None and loop_config["task"].out == step:
                # Ray Train's controller takes note of it a moment later.
                while not step.files("checkpoint_manager_snapshot.json"):
                    time.sleep(0.1)
                happens()

        ray.train.report = reported
        train_loop(loop_config)

    return loop
