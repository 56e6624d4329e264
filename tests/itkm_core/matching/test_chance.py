"""The null of the best affinity: even under chance, small for a true match, and right about the share."""

from __future__ import annotations

import numpy as np
import pytest

from itkm_core.matching.chance import chance_of_gap, mutual_by_chance


def twin(largest: list[float]) -> float:
    """One cluster's chance, spacing by spacing."""
    m = len(largest)
    total = sum(k * (largest[k - 1] - largest[k]) for k in range(2, m))
    gap = largest[0] - largest[1]
    if gap == 0:
        return 1.0
    return 0.0 if total == 0 else (1 + gap / total) ** -(m - 2)


def falling(values: np.ndarray, m: int = 12) -> np.ndarray:
    return -np.sort(-values, axis=1)[:, :m]


def test_it_is_the_twins() -> None:
    values = falling(np.random.default_rng(0).normal(size=(40, 60)))
    values[3, 1] = values[3, 0]
    values[4, 1:] = values[4, 1]
    expected = [twin(row.tolist()) for row in values]
    assert expected[3] == 1.0
    assert expected[4] == 0.0
    np.testing.assert_allclose(chance_of_gap(values), expected, rtol=1e-12)


@pytest.mark.parametrize("tail", ["exponential", "normal"])
def test_under_chance_it_is_even(tail: str) -> None:
    rng = np.random.default_rng(1)
    shape = (4000, 200)
    draws = rng.exponential(size=shape) if tail == "exponential" else rng.normal(size=shape)
    found = chance_of_gap(falling(draws))
    for level in (0.05, 0.2, 0.5, 0.8):
        share = (found <= level).mean()
        if tail == "exponential":
            assert share == pytest.approx(level, abs=0.03)
        else:  # a thinner tail has its gaps closer together: it errs towards chance
            assert level - 0.1 < share < level + 0.02


def test_whoever_stands_out_is_told_from_strangers() -> None:
    draws = np.random.default_rng(2).normal(size=(1000, 200))
    draws[:300, 7] += 8.0
    found = chance_of_gap(falling(draws))
    assert np.median(found[:300]) < 0.05
    assert np.median(found[300:]) > 0.4


@pytest.mark.parametrize(("sizes", "chance"), [((300, 300), 0.3), ((400, 150), 0.5)])
def test_so_many_strangers_match_by_chance(sizes: tuple[int, int], chance: float) -> None:
    found = []
    for seed in range(8):
        rows = np.random.default_rng(seed).exponential(size=sizes)
        best = rows.argmax(axis=1), rows.argmax(axis=0)
        first = np.flatnonzero(best[1][best[0]] == np.arange(sizes[0]))
        second = best[0][first]
        both = [chance_of_gap(falling(table, 15)) for table in (rows, rows.T)]
        found.append((np.sqrt(both[0][first] * both[1][second]) <= chance).sum())
    expected = mutual_by_chance(sizes, chance)
    assert 0.9 * expected < np.mean(found) < 1.5 * expected  # being mutual best favours wide gaps


def test_without_clusters_or_at_no_chance_there_are_none() -> None:
    assert mutual_by_chance((0, 9), 0.3) == mutual_by_chance((9, 9), 0.0) == 0.0
