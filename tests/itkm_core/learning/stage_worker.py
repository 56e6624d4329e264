"""One worker of the small problem: `python stage_worker.py RANK WORLD RENDEZVOUS OUT`.

Not a test itself: the tests run it in this process and in several.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from stage_problem import (
    NUM_STEPS,
    make_config,
    make_images,
    make_plan,
    make_stage,
    make_stage_three,
)
from torch import distributed as dist

from itkm_core.errors import TrainingError
from itkm_core.learning.distributed import gather_rows, rank_and_world
from itkm_core.learning.homogeneous import StageOne

NAN_STEP = 3


def run(stage: StageOne, *, nan_rank: int | None = None) -> dict[str, Any]:
    """All steps; what a worker ends with."""
    rank, world = rank_and_world()
    record: dict[str, Any] = {"losses": [], "norms": [], "error": ""}
    for step in range(NUM_STEPS):
        plan = make_plan(step, stage.config)
        images = make_images(plan.slice(rank, world))
        if nan_rank == rank and step == NAN_STEP:
            images[-1] = float("nan")
        try:
            result = stage.step(images, plan)
        except TrainingError as error:
            record["error"] = str(error)
            break
        record["losses"].append([result.loss, *result.block_losses, *result.term_losses.values()])
        record["norms"].append(result.gradient_norm)
    state = stage.state_dict()
    record["memories"] = state["memories"] + state.get("banks", [])
    record["weights"] = dict(stage.encoder.state_dict())
    record["global_step"] = stage.global_step
    return record


def gather_uneven() -> dict[str, Any]:
    """What `gather_rows` returns for parts of rank + 1 rows, of 2 * rank rows, and where the sizes are wrong."""
    rank, world = rank_and_world()
    rows = torch.full((rank + 1, 2), float(rank), requires_grad=True)
    told = gather_rows(rows, [other + 1 for other in range(world)])
    record = {"told": told, "grad": told.requires_grad, "error": ""}
    record["some"] = gather_rows(torch.full((2 * rank,), rank), [0, 2])
    try:
        gather_rows(rows, [1] * (world + 1))
    except TrainingError as error:
        record["error"] = str(error)
    return record


PARTS = {"accumulate": 3, "checkpoint_activations": True}
MODES: dict[str, Callable[[], dict[str, Any]]] = {
    "plain": lambda: run(make_stage(make_config())),
    "accumulate": lambda: run(make_stage(make_config(**PARTS))),
    "stage three": lambda: run(make_stage_three(make_config())),
    "stage three, accumulate": lambda: run(make_stage_three(make_config(**PARTS))),
    "nan": lambda: run(make_stage(make_config()), nan_rank=1),
    "stage three, nan": lambda: run(make_stage_three(make_config()), nan_rank=1),
    "gather": gather_uneven,
}


def run_workers(world: int, folder: Path) -> list[dict[str, Any]]:
    """What each of `world` processes ended with, by mode."""
    command = [sys.executable, __file__]
    ends = [str(world), str(folder / "rendezvous"), str(folder)]
    processes = [subprocess.Popen([*command, str(rank), *ends]) for rank in range(world)]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0] * world
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world)]


def main() -> None:
    rank, world, rendezvous, out = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=int(rank), world_size=int(world)
    )
    torch.save({mode: make() for mode, make in MODES.items()}, Path(out) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
