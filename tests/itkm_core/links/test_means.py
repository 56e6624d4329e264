"""The vectors of units, against a twin in plain NumPy."""

from __future__ import annotations

import numpy as np

from itkm_core.links.means import unit_vectors


def naive_vectors(features: np.ndarray, unit_of: np.ndarray) -> np.ndarray:
    found = []
    for unit in range(unit_of.max() + 1):
        rows = features[unit_of == unit].astype(np.float64)
        mean = rows.mean(axis=0)
        if len(rows) >= 4:
            near = rows @ (mean / np.linalg.norm(mean))
            deviation = np.median(np.abs(near - np.median(near)))
            mean = rows[near >= np.median(near) - 3 * 1.4826 * deviation - 1e-6].mean(axis=0)
        found.append(mean / np.linalg.norm(mean))
    return np.array(found)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_vectors_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    unit_of = np.concatenate([np.arange(20), rng.integers(0, 20, 180)])
    features = unit(rng.normal(size=(200, 12)) + 3 * rng.normal(size=(20, 12))[unit_of])
    features[::17] = unit(rng.normal(size=(12, 12)))  # odd ones
    found = unit_vectors(features, unit_of)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_vectors(features, unit_of), atol=2e-6)


def test_an_odd_image_is_left_out() -> None:
    rng = np.random.default_rng(1)
    person, other = unit(rng.normal(size=(2, 32)))
    rows = unit(person + 0.02 * rng.normal(size=(9, 32)))
    drifted = unit_vectors(np.concatenate([rows, other[None]]), np.zeros(10, np.int64))
    np.testing.assert_allclose(drifted, unit_vectors(rows, np.zeros(9, np.int64)), atol=1e-6)


def test_one_image_keeps_its_vector_and_opposite_ones_have_a_vector() -> None:
    rows = unit(np.random.default_rng(2).normal(size=(3, 5)))
    rows[2] = -rows[1]
    found = unit_vectors(rows, np.array([0, 1, 1]))
    assert found[0].tobytes() == rows[0].tobytes()
    assert found[1].tobytes() == rows[1].tobytes()
    assert unit_vectors(rows[:0], np.zeros(0, np.int64)).shape == (0, 5)


def test_the_order_of_units_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    unit_of, features = rng.integers(0, 9, 100), unit(rng.normal(size=(100, 8)))
    unit_of[:9] = np.arange(9)
    swapped = unit_vectors(features, 8 - unit_of)[::-1]
    assert swapped.tobytes() == unit_vectors(features, unit_of).tobytes()
