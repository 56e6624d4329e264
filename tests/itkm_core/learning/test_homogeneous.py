"""A Stage I step in one process: its loss, gradient, memory update, errors and resumption."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import stage_problem as problem
import torch
from resumption import resume_and_compare
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.errors import TrainingError
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.memory import ClusterMemory


def make(step: int = 0, **changes: Any) -> tuple[StageOne, Tensor, BatchPlan]:
    config = problem.make_config(**changes)
    plan = problem.make_plan(step, config)
    return problem.make_stage(config), problem.make_images(plan), plan


def gradients(stage: StageOne) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in stage.encoder.named_parameters()}


def naive_loss(stage: StageOne, images: Tensor, plan: BatchPlan) -> tuple[Tensor, list[float]]:
    """Mean over blocks of the mean over their images, one image at a time."""
    features = stage.encoder(
        images, torch.from_numpy(plan.groups), torch.from_numpy(plan.scenarios)
    )
    blocks = []
    for block, memory in enumerate(stage.memories):
        losses = []
        for row in np.flatnonzero(plan.block == block):
            scores = memory.centroids @ features[row] / stage.config.temperature
            losses.append(torch.logsumexp(scores, 0) - scores[plan.labels[row]])
        blocks.append(torch.stack(losses).mean())
    return torch.stack(blocks).mean(), [block.item() for block in blocks]


@pytest.mark.parametrize("accumulate", [1, 2, 5, 100])
def test_loss_and_gradient_whatever_the_parts(accumulate: int) -> None:
    stage, images, plan = make(accumulate=accumulate, max_grad_norm=None)
    expected, blocks = naive_loss(stage, images, plan)
    expected.backward()
    wanted = gradients(stage)
    result = stage.step(images, plan)
    assert result.loss == pytest.approx(expected.item(), rel=1e-5)
    assert result.block_losses == pytest.approx(blocks, rel=1e-5)
    assert result.term_losses == {"homogeneous": pytest.approx(expected.item(), rel=1e-5)}
    assert result.num_images == len(plan) == 21
    torch.testing.assert_close(gradients(stage), wanted, rtol=1e-4, atol=1e-6)
    norm = torch.stack([g.norm() for g in wanted.values()]).norm().item()
    assert result.gradient_norm == pytest.approx(norm, rel=1e-4)


def test_a_block_with_few_images_weighs_as_much_as_any_other() -> None:
    stage, images, plan = make()
    result = stage.step(images, plan)
    assert np.bincount(plan.block).tolist() == [6, 6, 3, 6]
    assert result.loss == pytest.approx(np.mean(result.block_losses), rel=1e-6)


def test_gradient_is_cut() -> None:
    stage, images, plan = make(max_grad_norm=0.01)
    result = stage.step(images, plan)
    norm = torch.stack([g.norm() for g in gradients(stage).values()]).norm().item()
    assert result.gradient_norm > 0.1
    assert norm == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_memory_moves_by_the_features_from_before_the_step_in_batch_order(
    accumulate: int,
) -> None:
    stage, images, plan = make(accumulate=accumulate, lr=0.1, warmup_steps=0)
    with torch.no_grad():
        features = stage.encoder(
            images, torch.from_numpy(plan.groups), torch.from_numpy(plan.scenarios)
        )
    expected = [memory.centroids.clone() for memory in stage.memories]
    for row in range(len(plan)):
        centroids, label = expected[plan.block[row]], plan.labels[row]
        moved = 0.2 * centroids[label] + 0.8 * features[row]
        centroids[label] = moved / moved.norm()
    stage.step(images, plan)
    for memory, centroids in zip(stage.memories, expected, strict=True):
        torch.testing.assert_close(memory.centroids, centroids, rtol=0, atol=1e-5)


def test_checkpointed_activations_change_nothing() -> None:
    losses = []
    for enabled in (False, True):
        stage, images, plan = make(checkpoint_activations=enabled)
        assert stage.encoder.transformer.grad_checkpointing is enabled
        losses.append([stage.step(images, plan).loss for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_bf16_keeps_loss_memory_and_weights_in_float32() -> None:
    full, images, plan = make()
    half, _, _ = make(precision="bf16")
    for _ in range(3):
        expected, result = full.step(images, plan), half.step(images, plan)
        assert result.loss == pytest.approx(expected.loss, rel=0.05)
        assert result.loss != expected.loss
    assert {p.dtype for p in half.encoder.parameters()} == {torch.float32}
    assert {memory.centroids.dtype for memory in half.memories} == {torch.float32}


def test_learning_rate_follows_the_step_of_the_run() -> None:
    stage, images, plan = make()
    rates = [stage.step(images, plan).learning_rate for _ in range(6)]
    assert rates[:5] == pytest.approx([0.2e-3, 0.4e-3, 0.6e-3, 0.8e-3, 1e-3])
    assert stage.global_step == 6
    stage.global_step = 2 * problem.NUM_STEPS - 1
    assert stage.step(images, plan).learning_rate == pytest.approx(1e-5)


def test_a_resumed_run_is_the_unbroken_one() -> None:
    again, unbroken = resume_and_compare(
        problem, problem.make_images, trained=lambda stage: stage.encoder
    )
    for a, b in zip(again.memories, unbroken.memories, strict=True):
        assert torch.equal(a.centroids, b.centroids)
    for name, value in again.encoder.state_dict().items():
        assert torch.equal(value, unbroken.encoder.state_dict()[name])


def test_a_new_round_takes_the_optimizer_and_keeps_its_own_memories() -> None:
    stage, images, plan = make()
    stage.step(images, plan)
    state = stage.state_dict()
    following, _, _ = make()
    following.memories[:] = [ClusterMemory(torch.eye(16)[:3]) for _ in stage.memories]
    with pytest.raises(TrainingError, match="other labels"):
        following.load_state_dict(state)
    assert following.global_step == 0
    following.load_state_dict(state, memories=False)
    assert following.global_step == 1
    assert torch.equal(following.memories[0].centroids, torch.eye(16)[:3])
    assert following.optimizer.state_dict()["state"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    stage, images, plan = make(step=2)
    weights = copy.deepcopy(stage.encoder.state_dict())
    memories = [memory.centroids.clone() for memory in stage.memories]
    images[7, 0, 0, 0] = value
    with pytest.raises(TrainingError, match=r"loss is nan at step 2 of round 1.*lr"):
        stage.step(images, plan)
    assert stage.global_step == 0
    for name, tensor in stage.encoder.state_dict().items():
        assert torch.equal(tensor, weights[name])
    for memory, before in zip(stage.memories, memories, strict=True):
        assert torch.equal(memory.centroids, before)
    images[7] = 0
    assert stage.step(images, plan).global_step == 1


def test_a_gradient_that_is_not_finite_stops_too() -> None:
    stage, images, plan = make()
    stage.encoder.proj.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match="gradient norm"):
        stage.step(images, plan)
    assert stage.global_step == 0


def test_images_plan_and_memories_must_belong_together() -> None:
    stage, images, plan = make()
    with pytest.raises(TrainingError, match="20 images"):
        stage.step(images[:20], plan)
    stage.memories[1] = ClusterMemory(stage.memories[1].centroids[:1])
    with pytest.raises(TrainingError, match="Block 1 has an image of cluster"):
        stage.step(images, plan)
    stage.memories.pop()
    with pytest.raises(TrainingError, match="memories of 3 blocks"):
        stage.step(images, plan)


def test_fewer_rows_than_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, images, plan = make()
    monkeypatch.setattr("itkm_core.learning.distributed.rank_and_world", lambda: (0, 22))
    with pytest.raises(TrainingError, match="21 images cannot be shared by 22 workers"):
        stage.step(images[:1], plan)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.05)])
def test_steps_on_a_gpu(precision: str, tolerance: float) -> None:
    assert torch.cuda.is_available(), "a test marked gpu needs a CUDA device"
    on_cpu, images, plan = make(accumulate=2)
    cpu_losses = [on_cpu.step(images, plan).loss for _ in range(3)]
    config = problem.make_config(accumulate=2, precision=precision)
    start = problem.make_stage(config)
    stage = StageOne(start.encoder.cuda(), start.memories, config, total_steps=40)
    losses = [stage.step(images, plan).loss for _ in range(3)]
    assert losses == pytest.approx(cpu_losses, rel=tolerance)
    assert {memory.centroids.device.type for memory in stage.memories} == {"cuda"}
    assert {memory.centroids.dtype for memory in stage.memories} == {torch.float32}
    for memory, expected in zip(stage.memories, on_cpu.memories, strict=True):
        similarity = (memory.centroids.cpu() * expected.centroids).sum(1)
        assert similarity.min() > 1 - tolerance
