"""Keys and draws against splitmix64 written out in plain integers."""

from __future__ import annotations

import numpy as np

from itkm_core.corpus.random_keys import row_keys, uniforms

MASK = (1 << 64) - 1


def splitmix64(state: int, step: int) -> int:
    z = (state + step * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_draws_are_splitmix64() -> None:
    # The generator's published first output for seed 1234567.
    assert splitmix64(1234567, 1) == 6457827717110365317
    keys = np.array([0, 1234567, MASK], np.uint64)
    draws = uniforms(keys, 5)
    expected = [[(splitmix64(int(k), j + 1) >> 11) / 2**53 for j in range(5)] for k in keys]
    np.testing.assert_array_equal(draws, expected)


def test_a_row_draws_the_same_in_any_batch() -> None:
    keys = row_keys((1, 2, 3), 50)
    draws = uniforms(keys, 8)
    np.testing.assert_array_equal(uniforms(keys[[30, 4]], 8), draws[[30, 4]])
    np.testing.assert_array_equal(uniforms(keys, 3), draws[:, :3])


def test_keys_depend_on_parts_and_row_only() -> None:
    keys = row_keys((1, 2, 3), 1000)
    np.testing.assert_array_equal(row_keys((1, 2, 3), 10), keys[:10])
    assert len(set(keys.tolist())) == 1000
    assert not set(keys.tolist()) & set(row_keys((1, 2, 4), 1000).tolist())


def test_draws_are_uniform() -> None:
    draws = uniforms(row_keys((0,), 20_000), 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.stack([np.histogram(column, bins=10, range=(0, 1))[0] for column in draws.T])
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000)
    correlation = np.corrcoef(draws.T) - np.eye(4)
    assert np.abs(correlation).max() < 0.03
