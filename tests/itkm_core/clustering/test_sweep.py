from __future__ import annotations

import numpy as np
import pytest

import itkm_core.clustering.pseudo_labels as module
from itkm_core.clustering import Condition, agreement, pseudo_label, sweep
from itkm_core.clustering.sweep import eps_range
from itkm_core.errors import ConfigError, FeatureError

VALUES = eps_range(0.4, 0.7, 0.05)


@pytest.mark.parametrize("options", [dict(k1=12, k2=3), dict(k1=6, k2=1, min_samples=1)])
@pytest.mark.parametrize(
    "name", ["people", "copies of every image", "copies of one image", "coarse grid", "all equal"]
)
def test_labels_at_each_value_are_those_of_labelling_at_it(make, name, options):
    rows = make.people(30, 8, 16, 1.0, 2) if name == "people" else make.awkward[name]
    ids = np.random.default_rng(0).permutation(len(rows)) * 7
    found = sweep(rows, eps_values=VALUES, sample_ids=ids, **options)
    for index, eps in enumerate(VALUES):
        labels = found.pseudo_labels(index)
        alone = pseudo_label(rows, eps=eps, sample_ids=ids, **options)
        np.testing.assert_array_equal(labels.labels, alone.labels)
        np.testing.assert_array_equal(labels.is_core, alone.is_core)
        np.testing.assert_array_equal(labels.confidence, alone.confidence)
        assert (labels.num_clusters, labels.parameters) == (alone.num_clusters, alone.parameters)


def test_points_say_what_the_labels_are_like(make):
    rows = make.people(30, 8, 16, 1.1, 2)
    found = sweep(rows, eps_values=VALUES, k1=10, k2=3)
    assert len({point.num_clusters for point in found.points}) > 2
    for index, point in enumerate(found.points):
        labels = found.pseudo_labels(index).labels
        assert point.eps == VALUES[index]
        assert point.num_clusters == labels.max() + 1
        assert point.outlier_share == pytest.approx((labels < 0).mean())
        assert point.largest_share == pytest.approx(np.bincount(labels[labels >= 0]).max() / 240)
        if index + 1 < len(VALUES):
            assert point.agreement == agreement(labels, found.pseudo_labels(index + 1).labels)
    assert found.points[-1].agreement is None


def test_one_search_and_one_graph_serve_all_values(make, monkeypatch):
    calls = []
    for name in ("nearest", "jaccard_graph"):
        real = getattr(module, name)
        monkeypatch.setattr(
            module,
            name,
            lambda *a, real=real, name=name, **k: (calls.append(name), real(*a, **k))[1],
        )
    sweep(make.people(10, 5, 8, 0.5, 0), eps_values=VALUES, k1=5, k2=2)
    assert calls == ["nearest", "jaccard_graph"]


@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_no_image_and_one_image():
    for num, condition in ((0, Condition.NO_CLUSTERS), (1, Condition.ALL_NOISE)):
        found = sweep(np.eye(1, 4, dtype=np.float32)[:num].reshape(num, 4), eps_values=VALUES)
        assert [point.condition for point in found.points] == [condition] * 7
        assert len(found.pseudo_labels(0).labels) == num
        assert found.points[0].silhouette is None


def test_thousands_of_copies_are_swept_like_one(make):
    rows = np.concatenate(
        [np.repeat(make.people(1, 1, 16, 0, 0), 5000, 0), make.people(20, 6, 16, 0.3, 1)]
    )
    found = sweep(rows, eps_values=VALUES, k1=10, k2=3)
    assert len(found.space.graph.pairs.indices) < 20_000
    # With k2 = 3, copies beyond the first k1 share two thirds of their encoding: d = 1/2 exactly.
    assert found.points[-1].condition is Condition.ONE_GIANT_CLUSTER
    assert [point.num_clusters for point in found.points[2:]] == [21] * 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "at least one"),
        ([0.5, 0.4], "rising"),
        ([0.5, 0.5], "rising"),
        ([0.5, 1.0], "eps is 1.0"),
    ],
)
def test_values_that_make_no_sweep_are_refused(make, values, said):
    with pytest.raises(ConfigError, match=said):
        sweep(make.people(10, 5, 8, 0.5, 0), eps_values=values)


def test_bad_features_are_refused():
    with pytest.raises(FeatureError, match="row 1"):
        sweep(np.array([[1, 0], [np.nan, 0]], np.float32), eps_values=VALUES)


def test_a_range_holds_both_ends_and_no_noise():
    assert VALUES == (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
    assert eps_range(0.5, 0.5, 0.1) == (0.5,)
    assert eps_range(0.1, 0.35, 0.1) == (0.1, 0.2, 0.3)
    assert eps_range(0.1, 0.9, 0.01)[-1] == 0.9


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0.7, 0.4, 0.05), "rising range"),
        ((0.4, 0.7, 0), "step above 0"),
        ((0.4, 0.7, -0.1), "step above 0"),
        ((0.4, float("nan"), 0.1), "rising range"),
        ((0.4, 0.7, 1e-5), "30,001 values"),
        ((0.4, 1.2, 0.1), "eps is 1.0"),
        ((0.0, 0.2, 0.1), "eps is 0.0"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        eps_range(*values)
