from __future__ import annotations

import numpy as np
import pytest
from made import unit

from itkm_core.clustering import pseudo_label
from itkm_core.clustering.cameras import camera_means, without_camera, without_means
from itkm_core.errors import FeatureError
from itkm_core.evaluation.clusters import label_quality


def plainly(features, cameras, prior):
    everything = features.astype(np.float64).mean(axis=0)
    rows = []
    for feature, camera in zip(features, cameras, strict=True):
        mine = features[cameras == camera].astype(np.float64)
        mean = (mine.sum(axis=0) + prior * everything) / (len(mine) + prior)
        rows.append((feature - mean) / np.linalg.norm(feature - mean))
    return np.array(rows)


@pytest.mark.parametrize("prior", [0.0, 8.0])
def test_like_one_image_at_a_time(prior):
    rng = np.random.default_rng(0)
    features, cameras = unit(rng.normal(size=(60, 9)) + 1), rng.integers(-1, 4, 60)
    found = without_camera(features, cameras, prior=prior)
    np.testing.assert_allclose(found, plainly(features, cameras, prior), atol=1e-5)


def test_blocks_of_rows_do_not_show(monkeypatch):
    rng = np.random.default_rng(1)
    features, cameras = unit(rng.normal(size=(50, 6))), rng.integers(0, 3, 50)
    whole = without_camera(features, cameras)
    monkeypatch.setattr("itkm_core.clustering.cameras._ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(without_camera(features, cameras), whole, atol=1e-6)


def test_a_camera_that_moves_all_its_images_no_longer_splits_people():
    rng = np.random.default_rng(2)
    people, cameras = np.repeat(np.arange(30), 8), np.tile(np.repeat([0, 1], 4), 30)
    pushes = 1.5 * unit(rng.normal(size=(2, 32)))
    persons = unit(rng.normal(size=(30, 32)))
    features = unit(persons[people] + pushes[cameras] + 0.05 * rng.normal(size=(240, 32)))
    options = {"k1": 8, "k2": 2, "eps": 0.5}
    before = label_quality(pseudo_label(features, **options).labels, people).ari
    after = label_quality(
        pseudo_label(without_camera(features, cameras), **options).labels, people
    ).ari
    assert before < 0.8
    assert after > 0.95


def test_an_image_that_is_its_cameras_mean_stays_as_it_was():
    features = unit(np.array([[1.0, 2.0, 2.0]] * 3))
    np.testing.assert_array_equal(without_camera(features, [5, 5, 5]), features)
    assert without_camera(np.zeros((0, 3), np.float32), np.zeros(0, int)).shape == (0, 3)


def test_one_camera_per_feature():
    with pytest.raises(FeatureError, match="expected"):
        without_camera(unit(np.ones((3, 2))), [1, 2])


def test_known_cameras_keep_their_means_and_new_ones_are_drawn_to_the_known_mean():
    rng = np.random.default_rng(4)
    features, cameras = unit(rng.normal(size=(60, 9)) + 1), rng.choice([2, 5, 9], 60)
    known = camera_means(features, cameras)
    later, seen_by = unit(rng.normal(size=(20, 9)) + 1), np.repeat([5, 7], 10)
    means = camera_means(later, seen_by, known=known)
    assert means.cameras.tolist() == [2, 5, 7, 9]
    np.testing.assert_array_equal(means.means[[0, 1, 3]], known.means)
    np.testing.assert_array_equal(means.overall, known.overall)
    expected = (later[10:].astype(np.float64).sum(axis=0) + 8 * known.overall) / 18
    np.testing.assert_allclose(means.means[2], expected, atol=1e-6)
    # What was compared before is compared as it was.
    np.testing.assert_array_equal(
        without_means(features, cameras, means), without_camera(features, cameras)
    )
