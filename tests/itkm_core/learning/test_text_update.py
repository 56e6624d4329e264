"""Dynamic text representation update against loops over images and clusters."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from made import unit_noise
from numpy.typing import NDArray

from itkm_core.errors import ConfigError, FeatureError, ItkmError, LabelError
from itkm_core.learning import text_update
from itkm_core.learning.text_update import (
    cluster_text,
    instance_text,
    majority_text,
    text_cluster,
    update_instance_text,
)

NOISE = np.full(5, -1)


def unit(count: int, seed: int) -> NDArray[np.float32]:
    return unit_noise(count, 6, seed)


def some_labels(count: int, clusters: int) -> NDArray[np.int64]:
    labels = np.random.default_rng(8).integers(-1, clusters, count)
    labels[:clusters] = np.arange(clusters)
    return labels


@pytest.mark.parametrize("similarities", [1, 20, 2**25])
def test_instance_text(monkeypatch: pytest.MonkeyPatch, similarities: int) -> None:
    monkeypatch.setattr(text_update, "_SIMILARITIES_AT_ONCE", similarities)
    u, labels, texts = unit(30, 0), some_labels(30, 4), unit(4, 1)
    found = instance_text(u, labels, texts)
    nearest = []
    for i, label in enumerate(labels):
        if label < 0:
            label = max(range(4), key=lambda c: u[i] @ texts[c])
            nearest.append(label)
        np.testing.assert_array_equal(found[i], texts[label])
    assert len(set(nearest)) > 1
    assert found.dtype == np.float32


def test_the_text_cluster_is_whose_text_an_image_has() -> None:
    u, labels, texts = unit(30, 0), some_labels(30, 4), unit(4, 1)
    owners = text_cluster(u, labels, texts)
    np.testing.assert_array_equal(texts[owners], instance_text(u, labels, texts))
    np.testing.assert_array_equal(owners[labels >= 0], labels[labels >= 0])


@pytest.mark.parametrize("clusters", [1, 3, 9])
def test_majority_text(clusters: int) -> None:
    rng = np.random.default_rng(clusters)
    owners, labels, texts = rng.integers(0, 5, 60), some_labels(60, clusters), unit(5, 1)
    found = majority_text(owners, labels, texts)
    for cluster in range(clusters):
        votes = [owners[i] for i in range(60) if labels[i] == cluster]
        best = max(range(5), key=lambda text: (votes.count(text), -text))
        np.testing.assert_array_equal(found[cluster], texts[best])
    assert found.dtype == np.float32
    assert found.shape == (clusters, 6)


def test_of_texts_that_equally_many_have_the_majority_is_the_first() -> None:
    owners, labels, texts = np.array([3, 1, 1, 3, 2]), np.array([0, 0, 0, 0, -1]), unit(4, 1)
    np.testing.assert_array_equal(majority_text(owners, labels, texts), texts[1:2])


def test_equally_near_texts_give_the_first() -> None:
    texts = unit(3, 0)
    texts[2] = texts[1]
    u = texts[1:2]
    assert np.array_equal(instance_text(u, np.array([-1]), texts), texts[1:2])


@pytest.mark.parametrize("at_once", [7, 65_536])
def test_cluster_text(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(text_update, "_ROWS_AT_ONCE", at_once)
    t, labels = unit(30, 0), some_labels(30, 4)
    found = cluster_text(t, labels)
    for cluster in range(4):
        mean = np.mean([t[i] for i in range(30) if labels[i] == cluster], axis=0)
        np.testing.assert_allclose(found[cluster], mean / np.linalg.norm(mean), atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("rho", [0.0, 0.8, 1.0])
def test_update_instance_text(rho: float) -> None:
    t, labels, texts = unit(30, 0), some_labels(30, 4), unit(4, 1)
    before = t.copy()
    found = update_instance_text(t, texts, labels, rho)
    for i, label in enumerate(labels):
        mixed = t[i] if label < 0 else rho * t[i] + (1 - rho) * texts[label]
        np.testing.assert_allclose(found[i], mixed / np.linalg.norm(mixed), atol=1e-6)
    np.testing.assert_array_equal(found[labels < 0], t[labels < 0])
    np.testing.assert_array_equal(t, before)
    assert found.dtype == np.float32


def test_labels_that_stay_keep_their_texts() -> None:
    u, labels, texts = unit(30, 0), some_labels(30, 4), unit(4, 1)
    labels[labels < 0] = 0
    t = instance_text(u, labels, texts)
    np.testing.assert_allclose(cluster_text(t, labels), texts, atol=1e-6)
    np.testing.assert_allclose(update_instance_text(t, texts, labels), t, atol=1e-6)


def test_all_noise() -> None:
    u, texts = unit(5, 0), unit(2, 1)
    t = instance_text(u, NOISE, texts)
    assert all(any(np.array_equal(row, text) for text in texts) for row in t)
    none = cluster_text(t, NOISE)
    assert none.shape == (0, 6)
    np.testing.assert_array_equal(update_instance_text(t, none, NOISE), t)
    assert majority_text(np.zeros(5, np.int64), NOISE, texts).shape == (0, 6)


def test_no_image_and_one_cluster() -> None:
    nobody = np.empty(0, np.int64)
    assert cluster_text(unit(0, 0), nobody).shape == (0, 6)
    assert instance_text(unit(0, 0), nobody, unit(2, 1)).shape == (0, 6)
    t = unit(1, 0)
    np.testing.assert_allclose(cluster_text(t, np.array([0])), t, atol=1e-6)


def test_texts_that_cancel_leave_no_direction_and_no_nan() -> None:
    t = np.concatenate([unit(1, 0), -unit(1, 0)])
    np.testing.assert_array_equal(cluster_text(t, np.array([0, 0])), np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (LabelError, "no text to give", lambda: instance_text(unit(5, 0), NOISE, unit(0, 1))),
        (LabelError, "same labels", lambda: instance_text(unit(1, 0), np.array([2]), unit(2, 1))),
        (
            LabelError,
            "same labels",
            lambda: update_instance_text(unit(1, 0), unit(2, 1), np.array([2])),
        ),
        (LabelError, "without gaps", lambda: cluster_text(unit(2, 0), np.array([0, 2]))),
        (FeatureError, "expected", lambda: cluster_text(unit(2, 0), NOISE)),
        (FeatureError, "expected", lambda: majority_text(np.array([0]), NOISE, unit(2, 1))),
        (LabelError, "same labels", lambda: majority_text(NOISE + 3, NOISE, unit(2, 1))),
        (
            LabelError,
            "without gaps",
            lambda: majority_text(np.array([0, 0]), np.array([0, 2]), unit(2, 1)),
        ),
        (FeatureError, "expected", lambda: instance_text(unit(5, 0), NOISE, unit(2, 1)[:, :3])),
        (
            ConfigError,
            "rho is 1.5",
            lambda: update_instance_text(unit(5, 0), unit(2, 1), NOISE, 1.5),
        ),
    ],
)
def test_what_cannot_be_done(error: type[ItkmError], message: str, call: object) -> None:
    assert callable(call)
    with pytest.raises(error, match=message):
        call()


def test_matching_needs_no_torch_for_it() -> None:
    program = (
        "import sys, itkm_core.learning.text_update, itkm_core.learning.prompt_health; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
