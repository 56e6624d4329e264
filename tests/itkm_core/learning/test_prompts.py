"""A Stage II step in one process: its loss, gradient, update, errors and resumption."""

from __future__ import annotations

from typing import Any

import numpy as np
import prompt_worker as problem
import pytest
import torch
from resumption import resume_and_compare
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.errors import TrainingError
from itkm_core.learning.prompt_health import prompt_accuracy, scenario_cosine
from itkm_core.learning.prompt_learner import offline_text
from itkm_core.learning.prompts import StageTwo


def make(step: int = 0, **changes: Any) -> tuple[StageTwo, Tensor, BatchPlan]:
    config = problem.make_config(**changes)
    plan = problem.make_plan(step, config)
    return problem.make_stage(config), problem.make_vectors(plan), plan


def naive_losses(
    stage: StageTwo, tokens: Tensor, vectors: Tensor, plan: BatchPlan, margin: float
) -> dict[str, Tensor]:
    """Every term with loops, texts from the whole table, every prompt alone and 16 positions long."""
    learner, config = stage.learner, stage.config
    tokens = tokens[:, None]
    scale = stage.scale
    texts = []
    for row in tokens:
        embeddings, end = learner.template.fill(row)
        padded = torch.cat([embeddings, torch.randn(1, 16 - embeddings.shape[1], 32)], dim=1)
        texts.append(learner.encoder(padded, end)[0])
    to_text, to_image, chosen = [], [], []
    for block in range(plan.num_blocks):
        rows = np.flatnonzero(plan.block == block)
        clusters = sorted(set(plan.labels[rows].tolist()))
        own = {c: texts[learner.offsets[block] + c] for c in clusters}
        chosen += [(plan.scenarios[rows[0]], text) for text in own.values()]
        losses = []
        for i in rows:
            scores = torch.stack([scale * (vectors[i] @ own[c]) for c in clusters])
            losses.append(scores.logsumexp(0) - scores[clusters.index(plan.labels[i])])
        to_text.append(torch.stack(losses).mean())
        losses = []
        for c in clusters:
            scores = torch.stack([scale * (vectors[i] @ own[c]) for i in rows])
            positives = [k for k, i in enumerate(rows) if plan.labels[i] == c]
            losses.append(scores.logsumexp(0) - scores[positives].mean())
        to_image.append(torch.stack(losses).mean())
    pairs = [(t @ u - margin).clamp(min=0) for s, t in chosen for z, u in chosen if s != z]
    assert config.separation_margin == margin
    return {
        "image_to_text": torch.stack(to_text).mean(),
        "text_to_image": torch.stack(to_image).mean(),
        "separation": torch.stack(pairs).mean(),
    }


@pytest.mark.parametrize("changes", [{}, {"separation_weight": 3.0}, {"temperature": None}])
def test_losses_gradient_and_update(changes: dict[str, Any]) -> None:
    stage, vectors, plan = make(separation_margin=-0.5, warmup_steps=0, **changes)
    tokens = stage.learner.tokens.clone().requires_grad_()
    expected = naive_losses(stage, tokens, vectors, plan, -0.5)
    total = expected["image_to_text"] + expected["text_to_image"]
    total = total + stage.config.separation_weight * expected["separation"]
    (gradient,) = torch.autograd.grad(total, tokens)
    result = stage.step(vectors, plan)
    assert result.term_losses == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-4)
    assert result.loss == pytest.approx(total.item(), rel=1e-5)
    assert result.gradient_norm == pytest.approx(gradient.norm().item(), rel=1e-3)
    assert (result.num_images, result.num_clusters, result.global_step) == (21, 7, 1)
    # After a first step of Adam the mean holds a tenth of the gradient.
    torch.testing.assert_close(10 * stage.optimizer.mean, gradient, rtol=1e-3, atol=1e-5)
    moved = tokens.detach() - stage.learner.tokens
    torch.testing.assert_close(
        moved, stage.config.lr * gradient / (gradient.abs() + 1e-8), rtol=0.05, atol=1e-3
    )


def test_only_the_batchs_clusters_are_encoded_and_change(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, vectors, plan = make()
    before, encoded = stage.learner.tokens.clone(), []
    encode = stage.learner.encode
    monkeypatch.setattr(
        stage.learner, "encode", lambda tokens: (encoded.append(len(tokens)), encode(tokens))[1]
    )
    stage.step(vectors, plan)
    changed = (stage.learner.tokens != before).flatten(1).any(1).nonzero()[:, 0].tolist()
    rows = {int(stage.learner.offsets[b] + c) for b, c in zip(plan.block, plan.labels, strict=True)}
    assert encoded == [7]
    assert changed == sorted(rows)
    assert len(before) == 17


def test_a_batch_in_another_order_is_the_same_step() -> None:
    stage, vectors, plan = make()
    expected = stage.step(vectors, plan)
    order = np.random.default_rng(0).permutation(len(plan))
    fields = ("sample_ids", "scenarios", "groups", "labels", "block", "keys")
    shuffled = BatchPlan(
        **{name: getattr(plan, name)[order] for name in fields},
        round=plan.round,
        step=plan.step,
        num_blocks=plan.num_blocks,
    )
    other, _, _ = make()
    assert other.step(vectors[order], shuffled).term_losses == pytest.approx(
        expected.term_losses, rel=1e-5
    )
    torch.testing.assert_close(other.learner.tokens, stage.learner.tokens, rtol=0, atol=1e-4)


def test_temperature() -> None:
    assert make()[0].scale == pytest.approx(10.0)
    assert make(temperature=None)[0].scale == pytest.approx(1 / 0.07, rel=1e-5)


def learn(steps: int = 60, **changes: Any) -> tuple[StageTwo, list[float]]:
    stage = problem.make_stage(problem.make_config(steps=steps, **changes))
    losses = []
    for step in range(steps):
        plan = problem.make_plan(step, stage.config)
        losses.append(stage.step(problem.make_vectors(plan), plan).loss)
    return stage, losses


def accuracy(stage: StageTwo) -> float:
    first, shares = 0, []
    for (_, _, clusters), texts in zip(problem.BLOCKS, offline_text(stage.learner), strict=True):
        vectors = problem.all_vectors()[first : first + 4 * clusters].numpy()
        shares.append(prompt_accuracy(vectors, np.repeat(np.arange(clusters), 4), texts))
        first += 4 * clusters
    return float(np.mean(shares))


def cosine(stage: StageTwo) -> float:
    texts: dict[int, list[Any]] = {}
    for (scenario, _, _), rows in zip(problem.BLOCKS, offline_text(stage.learner), strict=True):
        texts.setdefault(scenario, []).append(rows)
    return scenario_cosine(texts)


def test_prompts_learn_whose_they_are_and_scenarios_part() -> None:
    fresh = problem.make_stage(problem.make_config())
    apart, losses = learn(separation_weight=5.0)
    together, _ = learn(separation_weight=0.0)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert accuracy(fresh) < 0.6
    assert accuracy(apart) > 0.9
    assert accuracy(together) > 0.9
    assert cosine(apart) < cosine(together) - 0.02


def test_separation_is_absent_where_it_is_off_or_there_is_one_scenario() -> None:
    stage, vectors, plan = make(separation_weight=0.0)
    assert set(stage.step(vectors, plan).term_losses) == {"image_to_text", "text_to_image"}
    stage, vectors, plan = make()
    assert "separation" in stage.step(vectors, plan).term_losses
    plan.scenarios[:] = 1
    assert set(stage.step(vectors, plan).term_losses) == {"image_to_text", "text_to_image"}


def test_bf16_keeps_prompts_and_losses_in_float32() -> None:
    full, vectors, plan = make()
    half, _, _ = make(precision="bf16")
    expected, result = full.step(vectors, plan), half.step(vectors, plan)
    assert result.loss == pytest.approx(expected.loss, rel=0.05)
    assert result.loss != expected.loss
    assert half.learner.tokens.dtype == half.optimizer.mean.dtype == torch.float32


def test_learning_rate_follows_the_step() -> None:
    stage, vectors, plan = make()
    rates = [stage.step(vectors, plan).learning_rate for _ in range(6)]
    assert rates[:5] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    stage.global_step = problem.NUM_STEPS - 1
    assert stage.step(vectors, plan).learning_rate == pytest.approx(0.05 * 0.01)


def test_a_resumed_run_is_the_unbroken_one() -> None:
    again, unbroken = resume_and_compare(problem, problem.make_vectors)
    assert again.global_step == 8
    assert torch.equal(again.learner.tokens, unbroken.learner.tokens)


@pytest.mark.parametrize("what", ["offsets", "tokens"])
def test_a_state_of_other_labels_or_tokens(what: str) -> None:
    stage, vectors, plan = make()
    stage.step(vectors, plan)
    state = stage.state_dict()
    if what == "offsets":
        state["offsets"][1] -= 1
    else:
        state["tokens"] = state["tokens"][:, :3]
    other, _, _ = make()
    before = other.learner.tokens.clone()
    with pytest.raises(TrainingError, match="other labels or another prompts"):
        other.load_state_dict(state)
    assert other.global_step == 0
    assert torch.equal(other.learner.tokens, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    stage, vectors, plan = make(step=2)
    before = stage.state_dict()
    vectors[7, 0] = value
    with pytest.raises(TrainingError, match=r"loss of the prompts is .* at step 2.*prompts\.lr"):
        stage.step(vectors, plan)
    assert stage.global_step == 0
    assert torch.equal(stage.learner.tokens, before["tokens"])
    assert not stage.optimizer.count.any()


def test_a_gradient_that_is_not_finite_stops_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, vectors, plan = make()
    encode = stage.learner.encode

    def broken(tokens: Tensor) -> Tensor:
        texts = encode(tokens)
        texts.register_hook(lambda gradient: gradient * float("inf"))
        return texts

    monkeypatch.setattr(stage.learner, "encode", broken)
    with pytest.raises(TrainingError, match="gradient norm of the prompts"):
        stage.step(vectors, plan)
    assert stage.global_step == 0


def test_vectors_plan_and_prompts_must_belong_together() -> None:
    stage, vectors, plan = make()
    with pytest.raises(TrainingError, match="20 image vectors"):
        stage.step(vectors[:20], plan)
    learner = stage.learner
    learner.offsets = np.array([0, 5, 9, 16, 17])
    with pytest.raises(
        TrainingError, match=r"Block 3 has an image of cluster \d and prompts for 1"
    ):
        stage.step(vectors, plan)
    learner.offsets = learner.offsets[:4]
    with pytest.raises(TrainingError, match="prompts of 3 blocks"):
        stage.step(vectors, plan)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.05)])
def test_steps_on_a_gpu(precision: str, tolerance: float) -> None:
    assert torch.cuda.is_available(), "a test marked gpu needs a CUDA device"
    on_cpu, vectors, plan = make()
    cpu_losses = [on_cpu.step(vectors, plan).loss for _ in range(3)]
    stage = problem.make_stage(problem.make_config(precision=precision), device="cuda")
    losses = [stage.step(vectors, plan).loss for _ in range(3)]
    assert losses == pytest.approx(cpu_losses, rel=tolerance)
    assert stage.learner.tokens.device.type == stage.optimizer.mean.device.type == "cuda"
    texts = zip(offline_text(stage.learner), offline_text(on_cpu.learner), strict=True)
    assert min((a * b).sum(1).min() for a, b in texts) > 1 - tolerance
