"""A small Stage I problem, and one worker of it: `python stage_one_worker.py RANK WORLD RENDEZVOUS OUT MODE`.

Not a test itself: the tests run it in this process and in several.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from torch import distributed as dist
from torch.nn import functional as F

from itkm_core.corpus.sampling import BatchPlan, GroupIndex, GroupLabels, plan_step
from itkm_core.errors import TrainingError
from itkm_core.learning.config import HomogeneousConfig
from itkm_core.learning.distributed import gather_rows, rank_and_world
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.memory import ClusterMemory
from itkm_core.model.image_encoder import ImageEncoder

NUM_STEPS = 20
NAN_STEP = 3
# Two scenarios; the third block has one cluster only, so that a batch of 7 x 3 rows has an odd size.
BLOCKS = [(0, 0, 5), (0, 1, 4), (1, 0, 1), (1, 1, 7)]
CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": (16, 8),
        "patch_size": 4,
        "layers": 2,
        "width": 32,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


def make_config(**changes: Any) -> HomogeneousConfig:
    values: dict[str, Any] = {
        "clusters_per_group": 2,
        "images_per_cluster": 3,
        "lr": 1e-3,
        "warmup_steps": 5,
        "steps_per_round": NUM_STEPS,
    }
    return HomogeneousConfig(**{**values, **changes})


def make_groups() -> list[GroupIndex]:
    groups, first = [], 0
    for scenario, group, clusters in BLOCKS:
        labels = np.repeat(np.arange(clusters), 4)
        ids = np.arange(first, first + len(labels))
        groups.append(GroupIndex.from_labels(GroupLabels(scenario, group, ids, labels)))
        first += len(labels)
    return groups


def make_stage(config: HomogeneousConfig) -> StageOne:
    torch.manual_seed(0)
    clip = open_clip.CLIP(**CLIP)
    encoder = ImageEncoder.from_open_clip(clip, num_scenarios=2, image_size=(16, 8))
    with torch.no_grad():
        encoder.patch_embeddings[1].weight.mul_(0.5)
    memories = [ClusterMemory(F.normalize(torch.randn(k, 16), dim=1)) for _, _, k in BLOCKS]
    return StageOne(encoder, memories, config, total_steps=2 * NUM_STEPS)


def make_plan(step: int, config: HomogeneousConfig) -> BatchPlan:
    return plan_step(
        make_groups(),
        clusters_per_group=config.clusters_per_group,
        images_per_cluster=config.images_per_cluster,
        seed=0,
        round=1,
        step=step,
    )


def make_images(plan: BatchPlan) -> torch.Tensor:
    """Each row's picture comes from its sample id and its key, as a loader's would."""
    generator = torch.Generator()
    images = []
    for sample, key in zip(plan.sample_ids.tolist(), plan.keys.tolist(), strict=True):
        picture = torch.randn(3, 16, 8, generator=generator.manual_seed(sample))
        noise = torch.randn(3, 16, 8, generator=generator.manual_seed(key % 2**63))
        images.append(picture + 0.2 * noise)
    return torch.stack(images)


def run(config: HomogeneousConfig, *, nan_rank: int | None = None) -> dict[str, Any]:
    """All steps; what a worker ends with."""
    rank, world = rank_and_world()
    stage = make_stage(config)
    record: dict[str, Any] = {"losses": [], "norms": [], "error": ""}
    for step in range(NUM_STEPS):
        plan = make_plan(step, config)
        images = make_images(plan.slice(rank, world))
        if nan_rank == rank and step == NAN_STEP:
            images[-1] = float("nan")
        try:
            result = stage.step(images, plan)
        except TrainingError as error:
            record["error"] = str(error)
            break
        record["losses"].append([result.loss, *result.block_losses])
        record["norms"].append(result.gradient_norm)
    record["memories"] = [memory.centroids for memory in stage.memories]
    record["weights"] = dict(stage.encoder.state_dict())
    record["global_step"] = stage.global_step
    return record


def gather_uneven() -> dict[str, Any]:
    """What `gather_rows` returns for parts of rank + 1, then of 2 * rank rows, then with sizes told."""
    rank, world = rank_and_world()
    rows = torch.full((rank + 1, 2), float(rank), requires_grad=True)
    told = gather_rows(rows, [other + 1 for other in range(world)])
    record = {"asked": gather_rows(rows), "told": told, "grad": told.requires_grad, "error": ""}
    record["some"] = gather_rows(torch.full((2 * rank,), rank))
    try:
        gather_rows(rows, [1] * (world + 1))
    except TrainingError as error:
        record["error"] = str(error)
    return record


MODES = {
    "plain": lambda: run(make_config()),
    "accumulate": lambda: run(make_config(accumulate=3, checkpoint_activations=True)),
    "nan": lambda: run(make_config(), nan_rank=1),
    "gather": gather_uneven,
}


def main() -> None:
    rank, world, rendezvous, out, modes = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=int(rank), world_size=int(world)
    )
    records = {mode: MODES[mode]() for mode in modes.split(",")}
    torch.save(records, Path(out) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
