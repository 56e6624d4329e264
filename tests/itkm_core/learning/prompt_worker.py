"""A small Stage II problem, and one worker of it: `python prompt_worker.py RANK WORLD RENDEZVOUS OUT MODE`.

Not a test itself: the tests run it in this process and in several.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import open_clip
import torch
from stage_problem import make_groups
from torch import distributed as dist
from torch.nn import functional as F

from itkm_core.corpus.sampling import BatchPlan, plan_step
from itkm_core.errors import TrainingError
from itkm_core.learning.config import PromptConfig
from itkm_core.learning.distributed import rank_and_world
from itkm_core.learning.prompt_learner import PromptLearner, offline_text
from itkm_core.learning.prompts import StageTwo
from itkm_core.model.clip import LoadedClip

NUM_STEPS = 20
NAN_STEP = 3
# Three scenarios; the third block has one cluster only, so batches have 21 rows and 7 clusters.
BLOCKS = [(0, 0, 5), (0, 1, 4), (1, 0, 1), (2, 1, 7)]
CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 8,
        "patch_size": 4,
        "layers": 1,
        "width": 16,
        "head_width": 16,
    },
    "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 2},
}


def tokenizer(text: str) -> torch.Tensor:
    """Every word a number; 62 starts a text and 63 ends it, like CLIP's own; cut to 16."""
    words = text.replace(".", " .").split()
    numbers = [62, *(sum(map(ord, word)) % 60 + 1 for word in words), 63][:16]
    numbers[-1] = 63
    return torch.tensor([numbers + [0] * (16 - len(numbers))])


def make_clip(device: str = "cpu") -> LoadedClip:
    torch.manual_seed(0)
    model = open_clip.CLIP(**CLIP).eval()
    with torch.no_grad():
        model.token_embedding.weight.mul_(5)  # else position and layers drown the words
    zeros = (0.0, 0.0, 0.0)
    return LoadedClip(model.to(device), tokenizer, zeros, zeros, (8, 8), "test", None, False)


def make_config(**changes: Any) -> PromptConfig:
    values: dict[str, Any] = {
        "clusters_per_group": 2,
        "images_per_cluster": 3,
        "lr": 0.05,
        "warmup_steps": 5,
        "steps": NUM_STEPS,
    }
    return PromptConfig(**{**values, **changes})


def make_stage(config: PromptConfig, device: str = "cpu") -> StageTwo:
    clusters = [k for _, _, k in BLOCKS]
    learner = PromptLearner.from_clip(make_clip(device), clusters, config, seed=3)
    return StageTwo(learner, config)


def make_plan(step: int, config: PromptConfig) -> BatchPlan:
    return plan_step(
        make_groups(BLOCKS),
        clusters_per_group=config.clusters_per_group,
        images_per_cluster=config.images_per_cluster,
        seed=0,
        round=0,
        step=step,
    )


def all_vectors() -> torch.Tensor:
    """[N, 16]: four images around a direction of their cluster's own."""
    count = 4 * sum(k for _, _, k in BLOCKS)
    generator = torch.Generator().manual_seed(7)
    centres = torch.randn(count // 4, 16, generator=generator).repeat_interleave(4, 0)
    return F.normalize(centres + 0.5 * torch.randn(count, 16, generator=generator), dim=1)


def make_vectors(plan: BatchPlan) -> torch.Tensor:
    return all_vectors()[torch.from_numpy(plan.sample_ids)]


def run(config: PromptConfig, *, nan_rank: int | None = None) -> dict[str, Any]:
    """All steps; what a worker ends with."""
    rank, world = rank_and_world()
    stage = make_stage(config)
    record: dict[str, Any] = {"losses": [], "norms": [], "error": ""}
    for step in range(config.steps):
        plan = make_plan(step, config)
        vectors = make_vectors(plan.slice(rank, world))
        if nan_rank == rank and step == NAN_STEP:
            vectors[-1, 0] = float("nan")
        try:
            result = stage.step(vectors, plan)
        except TrainingError as error:
            record["error"] = str(error)
            break
        record["losses"].append([result.loss, *result.term_losses.values()])
        record["norms"].append(result.gradient_norm)
    record["state"] = stage.state_dict()
    record["texts"] = [torch.from_numpy(texts) for texts in offline_text(stage.learner)]
    return record


MODES = {
    "plain": lambda: run(make_config()),
    "few": lambda: run(make_config(clusters_per_group=1, images_per_cluster=1, steps=3)),
    "nan": lambda: run(make_config(), nan_rank=1),
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
