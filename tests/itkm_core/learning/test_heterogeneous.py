"""A Stage III step in one process: its terms image by image, what it remembers, and its errors."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import stage_problem as problem
import torch
from torch import Tensor

from itkm_core.corpus.sampling import BatchPlan
from itkm_core.errors import TrainingError
from itkm_core.learning import matching_terms
from itkm_core.learning.config import HeterogeneousConfig
from itkm_core.learning.heterogeneous import Links, StageThree
from itkm_core.learning.instance_bank import InstanceBank
from itkm_core.learning.trainer import Trainer

NO_LINKS = [
    problem.links(o, [[]] * len(rows))
    for o, rows in zip(problem.OPPOSITE, problem.CLUSTER_LINKS, strict=True)
]
TERMS = ("homogeneous", "chm", "ihm", "text")


def make(step: int = 0, **changes: Any) -> tuple[StageThree, Tensor, BatchPlan]:
    """Parts of Stage III and fields of the configuration in `changes`."""
    names = ("options", "texts", "clusters", "banks", "instances")
    parts = {name: changes.pop(name) for name in names if name in changes}
    config = problem.make_config(**changes)
    plan = problem.make_plan(step, config)
    return problem.make_stage_three(config, **parts), problem.make_images(plan), plan


def encode(stage: Trainer, images: Tensor, plan: BatchPlan) -> Tensor:
    return stage.encoder(images, torch.from_numpy(plan.groups), torch.from_numpy(plan.scenarios))


def gradients(stage: Trainer) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in stage.encoder.named_parameters()}


def log_share(feature: Tensor, candidates: Tensor, temperature: float, positive: int) -> Tensor:
    scores = torch.stack([(feature * row).sum() / temperature for row in candidates])
    return scores[positive] - torch.logsumexp(scores, 0)


def naive_candidates(block: int, plan: BatchPlan, parts: dict[str, Any], limit: int) -> list[int]:
    """Rows of the opposite bank: all, or positives and then the nearest, until there are enough."""
    bank, links = parts["banks"][block], parts["instances"][block]
    opposite = parts["banks"][links.opposite]
    if len(opposite) <= limit:
        return list(range(len(opposite)))
    rows = sorted({int(bank.rows(np.array([s]))[0]) for s in plan.sample_ids[plan.block == block]})
    chosen: list[int] = []
    for row in rows:
        chosen += links.rows.row(row).tolist()
    chosen = list(dict.fromkeys(chosen))
    for place in range(links.hard.shape[1]):
        for row in rows:
            candidate = int(links.hard[row, place])
            if len(chosen) < limit and candidate not in chosen:
                chosen.append(candidate)
    return chosen


def naive_terms(
    stage: StageThree, images: Tensor, plan: BatchPlan, parts: dict[str, Any], limit: int
) -> dict[str, list[Tensor]]:
    """Each term's mean loss of each block, one image at a time."""
    features = encode(stage, images, plan)
    tau = stage.config.temperature
    means: dict[str, list[Tensor]] = {name: [] for name in TERMS}
    for block, memory in enumerate(stage.memories):
        losses: dict[str, list[Tensor]] = {name: [] for name in TERMS}
        candidates = naive_candidates(block, plan, parts, limit)
        for row in np.flatnonzero(plan.block == block):
            v, y = features[row], int(plan.labels[row])
            nothing = (v * 0).sum()
            losses["homogeneous"].append(-log_share(v, memory.centroids, tau, y))
            partners = problem.CLUSTER_LINKS[block][y]
            opposite = stage.memories[problem.OPPOSITE[block]].centroids
            logs = [log_share(v, opposite, tau, partner) for partner in partners]
            losses["chm"].append(-torch.stack(logs).mean() if logs else nothing)
            links = parts["instances"][block]
            own = int(parts["banks"][block].rows(plan.sample_ids[row : row + 1])[0])
            vectors = parts["banks"][links.opposite].features[candidates]
            positives = links.rows.row(own).tolist()
            logs = [log_share(v, vectors, tau, candidates.index(p)) for p in positives]
            losses["ihm"].append(-torch.stack(logs).mean() if logs else nothing)
            text = parts["texts"][block]
            losses["text"].append(nothing if text is None else -log_share(v, text, 0.1, y))
        for name in TERMS:
            means[name].append(torch.stack(losses[name]).mean())
    return means


@pytest.mark.parametrize(
    ("accumulate", "limit"), [(1, 10), (2, 10), (5, 10), (100, 10), (2, 3), (2, 1000)]
)
def test_terms_loss_and_gradient_whatever_the_parts(accumulate: int, limit: int) -> None:
    options = problem.make_options(max_negatives=limit)
    stage, images, plan = make(accumulate=accumulate, max_grad_norm=None, options=options)
    means = naive_terms(stage, images, plan, problem.make_parts(), limit)
    weights = dict(zip(TERMS, (1.0, 0.5, 2.0, 0.7), strict=True))
    blocks = [sum(weights[name] * means[name][block] for name in TERMS) for block in range(4)]
    expected = torch.stack(blocks).mean()
    expected.backward()
    wanted = gradients(stage)
    result = stage.step(images, plan)
    assert result.loss == pytest.approx(expected.item(), rel=1e-5)
    assert result.block_losses == pytest.approx([b.item() for b in blocks], rel=1e-5)
    assert list(result.term_losses) == list(TERMS)
    for name, value in result.term_losses.items():
        assert value == pytest.approx(torch.stack(means[name]).mean().item(), rel=1e-5), name
    torch.testing.assert_close(gradients(stage), wanted, rtol=1e-3, atol=1e-5)


def test_the_naive_problem_meets_every_case() -> None:
    parts, plan = problem.make_parts(), problem.make_plan(0, problem.make_config())
    sizes = {
        limit: [len(naive_candidates(block, plan, parts, limit)) for block in range(4)]
        for limit in (3, 10, 1000)
    }
    opposite = [len(parts["banks"][o]) for o in problem.OPPOSITE]
    assert sizes[1000] == opposite == [18, 22, 30, 6]
    assert sizes[10] == [10, 10, 10, 6]  # positives and hard rows; the last bank whole
    assert max(sizes[3]) > 3  # positives alone may be more
    assert max(sizes[3]) < 10
    partners = [
        len(problem.CLUSTER_LINKS[b][y]) for b, y in zip(plan.block, plan.labels, strict=True)
    ]
    assert {0, 1, 3} <= set(partners)


def test_banks_move_by_the_features_from_before_the_step_in_batch_order() -> None:
    stage, images, plan = make(
        lr=0.1, warmup_steps=0, options=problem.make_options(instance_momentum=0.4)
    )
    with torch.no_grad():
        features = encode(stage, images, plan)
    twins = problem.make_banks()
    for row in range(len(plan)):
        bank = twins[plan.block[row]]
        own = bank.rows(plan.sample_ids[row : row + 1])[0]
        moved = 0.4 * bank.features[own] + 0.6 * features[row]
        bank.features[own] = moved / moved.norm()
    stage.step(images, plan)
    banks = stage.state_dict()["banks"]
    untouched = 0
    for bank, twin, before in zip(banks, twins, problem.make_banks(), strict=True):
        torch.testing.assert_close(bank, twin.features, rtol=0, atol=1e-5)
        untouched += int((bank == before.features).all(dim=1).sum())
    assert untouched >= 4 * problem.NUM_OUTLIERS


def test_memories_are_moved_once_and_matching_sees_them_move() -> None:
    stage, images, plan = make()
    twin = problem.make_stage(stage.config)
    stage.step(images, plan)
    twin.step(images, plan)
    for memory, expected in zip(stage.memories, twin.memories, strict=True):
        assert torch.equal(memory.centroids, expected.centroids)
    term = next(term for term in stage.terms if term.name == "chm")
    assert isinstance(term, matching_terms.ClusterMatchTerm)
    assert all(a is b for a, b in zip(term.memories, stage.memories, strict=True))


@pytest.mark.parametrize("limit", [10, 10_000])
def test_without_a_positive_it_is_stage_one(limit: int) -> None:
    empty = [
        problem.links(links.opposite, [[]] * len(links), links.hard)
        for links in problem.make_instance_links()
    ]
    options = problem.make_options(max_negatives=limit)
    stage, images, plan = make(
        clusters=NO_LINKS, instances=empty, texts=[None] * 4, options=options
    )
    alone = problem.make_stage(stage.config)
    result, expected = stage.step(images, plan), alone.step(images, plan)
    assert result.loss == expected.loss
    assert result.term_losses == {**expected.term_losses, "chm": 0, "ihm": 0, "text": 0}
    for name, value in gradients(stage).items():
        assert torch.equal(value, gradients(alone)[name])


def test_what_is_not_given_or_weighs_nothing_is_absent() -> None:
    stage, images, plan = make(clusters=None, instances=None, texts=None)
    assert list(stage.step(images, plan).term_losses) == ["homogeneous"]
    assert set(stage.state_dict()) == {"global_step", "optimizer", "memories"}
    weights = {"chm_weight": 0, "ihm_weight": 0, "text_weight": 0}
    stage, images, plan = make(options=HeterogeneousConfig(**weights))
    assert list(stage.step(images, plan).term_losses) == ["homogeneous"]
    stage, images, plan = make(instances=None, texts=None)
    assert list(stage.step(images, plan).term_losses) == ["homogeneous", "chm"]


def test_a_scenario_with_nothing_to_match() -> None:
    """As when it has one group only, or when its other group has no cluster."""
    parts = problem.make_parts()
    for name in ("clusters", "banks", "instances", "texts"):
        parts[name][2:] = [None, None]
    stage, images, plan = make(**parts)
    alone = problem.make_stage(stage.config)
    result, expected = stage.step(images, plan), alone.step(images, plan)
    assert result.block_losses[2:] == expected.block_losses[2:]
    assert all(
        a > b for a, b in zip(result.block_losses[:2], expected.block_losses[:2], strict=True)
    )
    assert len(stage.state_dict()["banks"]) == 2


@pytest.mark.parametrize("num_images", [500, 4000])
def test_the_denominator_does_not_grow_with_the_bank(
    num_images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(features: Tensor, candidates: Tensor, *rest: Any) -> Tensor:
        seen.append(len(candidates))
        return match_nce(features, candidates, *rest)

    match_nce = matching_terms.match_nce
    monkeypatch.setattr(matching_terms, "match_nce", spy)
    rng = np.random.default_rng(0)
    banks, instances = [], []
    for block in range(4):
        ids = problem.make_groups()[block].members
        ids = np.append(ids, 10_000 + np.arange(num_images - len(ids)))
        banks.append(InstanceBank(ids, problem.unit(num_images, block)))
        hard = np.stack([rng.permutation(num_images)[:60] for _ in range(num_images)])
        instances.append(problem.links(problem.OPPOSITE[block], hard[:, 5:7].tolist(), hard))
    options = problem.make_options(max_negatives=100)
    stage, images, plan = make(banks=banks, instances=instances, clusters=None, options=options)
    stage.step(images, plan)
    assert seen == [100] * 4


def test_a_resumed_run_is_the_unbroken_one() -> None:
    def steps(stage: StageThree, first: int, last: int) -> list[dict[str, float]]:
        results = []
        for step in range(first, last):
            plan = problem.make_plan(step, stage.config)
            results.append(stage.step(problem.make_images(plan), plan).term_losses)
        return results

    unbroken, _, _ = make()
    expected = steps(unbroken, 0, 6)
    stage, _, _ = make()
    losses = steps(stage, 0, 3)
    file = io.BytesIO()
    torch.save(stage.state_dict(), file)
    weights = copy.deepcopy(stage.encoder.state_dict())
    again, _, _ = make()
    again.encoder.load_state_dict(weights)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert losses + steps(again, 3, 6) == expected
    for name in ("memories", "banks"):
        for a, b in zip(again.state_dict()[name], unbroken.state_dict()[name], strict=True):
            assert torch.equal(a, b)


def test_going_on_from_stage_one() -> None:
    first = problem.make_stage(problem.make_config())
    plan = problem.make_plan(0, first.config)
    first.step(problem.make_images(plan), plan)
    stage, images, plan = make(step=1)
    with pytest.raises(TrainingError, match=r"banks.*other labels"):
        stage.load_state_dict(first.state_dict())
    assert stage.global_step == 0
    stage.load_state_dict(first.state_dict(), memories=False)
    assert stage.step(images, plan).global_step == 2


def replaced(name: str, block: int, value: Any) -> dict[str, Any]:
    parts = problem.make_parts()
    parts[name][block] = value
    return {name: parts[name]}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"banks": None}, "one bank per block"),
        ({"banks": problem.make_banks()[:3]}, "one bank per block"),
        (replaced("banks", 0, InstanceBank(np.arange(22), torch.eye(22))), r"\[22, 16, 16, 16\]"),
        (replaced("banks", 1, None), "linked to rows"),
        (replaced("banks", 1, InstanceBank(np.arange(9), problem.unit(9, 0))), "expected 22 rows"),
        (replaced("texts", 1, problem.unit(5, 0)), "one row per cluster"),
        (
            {
                "banks": [*problem.make_banks()[:1], None, None, None],
                "instances": [problem.links(1, [[]] * 22), None, None, None],
            },
            "no instance bank",
        ),
        ({"texts": []}, "one row per cluster"),
        ({"clusters": NO_LINKS[:2]}, "one entry for each of 4"),
        (replaced("clusters", 0, problem.links(1, [[4], [], [], [], []])), "expected 5 rows"),
        (replaced("clusters", 3, problem.links(2, [[0]])), "expected 7 rows"),
        (replaced("instances", 3, problem.links(2, [[]] * 29)), "expected 30 rows"),
        (replaced("instances", 0, problem.links(1, [[]] * 22)), "no hard negatives"),
    ],
)
def test_parts_must_belong_together(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        make(**parts)


def test_images_must_be_in_the_bank_and_nothing_changes_otherwise() -> None:
    stage, images, plan = make()
    plan.sample_ids[3] = 555
    with pytest.raises(TrainingError, match="sample 555"):
        stage.step(images, plan)
    assert stage.global_step == 0


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.05)])
def test_steps_on_a_gpu(precision: str, tolerance: float) -> None:
    assert torch.cuda.is_available(), "a test marked gpu needs a CUDA device"
    on_cpu, images, plan = make(accumulate=2)
    expected = [on_cpu.step(images, plan).term_losses for _ in range(3)]
    config = problem.make_config(accumulate=2, precision=precision)
    stage = StageThree(
        problem.make_encoder().cuda(),
        problem.make_memories(),
        config,
        total_steps=2 * problem.NUM_STEPS,
        options=problem.make_options(),
        links=Links(**problem.make_parts()),
    )
    for terms in expected:
        assert stage.step(images, plan).term_losses == pytest.approx(terms, rel=tolerance)
    for bank, twin in zip(stage.state_dict()["banks"], on_cpu.state_dict()["banks"], strict=True):
        assert (bank * twin).sum(1).min() > 1 - tolerance
