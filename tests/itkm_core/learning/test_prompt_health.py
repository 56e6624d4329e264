"""The report on learnt texts against loops over images and pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made import unit_noise
from numpy.typing import NDArray

from itkm_core.errors import FeatureError
from itkm_core.learning import prompt_health
from itkm_core.learning.prompt_health import prompt_accuracy, scenario_cosine


def unit(count: int, seed: int) -> NDArray[np.float32]:
    return unit_noise(count, 6, seed)


@pytest.mark.parametrize("at_once", [3, 8192])
def test_accuracy_is_the_naive_share(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(prompt_health, "_ROWS_AT_ONCE", at_once)
    texts, labels = unit(4, 0), np.random.default_rng(1).integers(-1, 4, 40)
    images = 0.6 * texts[labels] + unit(40, 2)
    right = [
        all(u @ texts[label] > u @ t for c, t in enumerate(texts) if c != label)
        for u, label in zip(images, labels, strict=True)
        if label >= 0
    ]
    assert 0.3 < np.mean(right) < 0.95
    assert prompt_accuracy(images, labels, texts) == pytest.approx(np.mean(right))


def test_prompts_that_are_all_the_same_describe_nobody() -> None:
    texts = np.repeat(unit(1, 0), 3, axis=0)
    assert prompt_accuracy(unit(5, 1), np.array([0, 1, 2, 0, 1]), texts) == 0.0


def test_one_prompt_and_no_image_of_a_cluster() -> None:
    assert prompt_accuracy(unit(3, 0), np.array([0, -1, 0]), unit(1, 1)) == 1.0
    assert math.isnan(prompt_accuracy(unit(3, 0), np.full(3, -1), unit(1, 1)))
    assert math.isnan(prompt_accuracy(unit(3, 0), np.full(3, -1), unit(0, 1)))


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2]])
def test_what_does_not_belong_together(labels: list[int]) -> None:
    with pytest.raises(FeatureError, match="one text per cluster"):
        prompt_accuracy(unit(3, 0), np.array(labels), unit(2, 1))


def test_cosine_between_scenarios_is_the_mean_over_pairs() -> None:
    texts = {0: [unit(3, 0), unit(2, 1)], 1: [unit(4, 2)], 7: [unit(0, 3), unit(1, 4)]}
    rows = [(s, t) for s, blocks in texts.items() for block in blocks for t in block]
    cosines = [t @ u for s, t in rows for z, u in rows if s != z]
    assert scenario_cosine(texts) == pytest.approx(np.mean(cosines), rel=1e-5)


def test_no_pair_of_scenarios() -> None:
    assert math.isnan(scenario_cosine({}))
    assert math.isnan(scenario_cosine({0: [unit(3, 0), unit(2, 1)]}))
    assert math.isnan(scenario_cosine({0: [unit(3, 0)], 1: [unit(0, 1)]}))
