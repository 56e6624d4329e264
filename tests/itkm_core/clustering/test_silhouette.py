from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from itkm_core.clustering import LabelOptions
from itkm_core.clustering.pseudo_labels import jaccard_space
from itkm_core.clustering.silhouette import silhouette

REACH = 0.7


def twin_silhouette(d, labels, reach):
    """Rousseeuw's definition on the dense distances: pairs beyond the reach count as 1, outliers as 0."""
    d = np.where(d <= reach + 1e-6, d, 1.0)
    values = np.zeros(len(labels))
    for i, label in enumerate(labels):
        own = (labels == label) & (np.arange(len(labels)) != i)
        others = [other for other in range(labels.max() + 1) if other != label]
        if label < 0 or not own.any() or not others:
            continue
        a = d[i, own].mean()
        b = min(d[i, labels == other].mean() for other in others)
        values[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0.0
    return values.mean()


def dense(twin, rows, k1, k2):
    return twin.distances(twin.encoding(rows, min(k1, len(rows)), min(k2, len(rows))))


@pytest.mark.parametrize("eps", [0.3, 0.5, 0.6, 0.7])
@pytest.mark.parametrize(
    "options", [dict(k1=10, k2=4, min_samples=4), dict(k1=6, k2=1, min_samples=1)]
)
@pytest.mark.parametrize(
    "name",
    [
        "people",
        "hard people",
        "copies of every image",
        "copies of one image",
        "coarse grid",
        "one-hot",
        "two dimensions",
        "random",
    ],
)
def test_it_is_the_twins(make, twin, name, options, eps):
    made = {"people": (15, 8, 16, 0.9, 2), "hard people": (25, 5, 8, 1.2, 3)}
    rows = make.people(*made[name]) if name in made else make.awkward[name]
    space = jaccard_space(rows, LabelOptions(eps=REACH, **options))
    labels = space.cluster(eps).labels
    found = silhouette(space.graph, labels)
    if labels.max() < 1:
        assert found is None
        return
    d = dense(twin, rows, options["k1"], options["k2"])
    assert found == pytest.approx(twin_silhouette(d, labels, REACH), abs=1e-9)


def test_images_of_one_encoding_that_are_a_cluster_each(make, twin):
    # min_samples = 1 and no query expansion: copies beyond k1 are core images near nobody.
    rows = np.concatenate([make.awkward["copies of one image"], make.people(6, 5, 8, 0.3, 0)])
    options = dict(k1=4, k2=1, min_samples=1)
    space = jaccard_space(rows, LabelOptions(eps=REACH, **options))
    labels = space.cluster(0.6).labels
    types = space.graph.types
    last = types.members.indices[types.members.indptr[1:] - 1]
    assert (labels[types.first] != labels[last]).any(), "no type whose images are a cluster each"
    expected = twin_silhouette(dense(twin, rows, 4, 1), labels, REACH)
    assert silhouette(space.graph, labels) == pytest.approx(expected, abs=1e-9)


def test_with_no_outliers_and_all_pairs_it_is_scikit_learns(make, twin):
    rows = make.people(4, 6, 16, 0.4, 1)
    reach = 1 - 1e-5
    space = jaccard_space(rows, LabelOptions(k1=24, k2=6, eps=reach))
    labels = np.repeat(np.arange(4), 6)
    d = dense(twin, rows, 24, 6)
    np.fill_diagonal(d, 0)
    expected = silhouette_score(d, labels, metric="precomputed")
    assert silhouette(space.graph, labels) == pytest.approx(expected, abs=1e-6)


def test_threads_do_not_change_it(make):
    rows = make.people(300, 9, 16, 1.0, 4)
    space = jaccard_space(rows, LabelOptions(k1=12, k2=3, eps=REACH))
    labels = space.cluster(0.6).labels
    assert silhouette(space.graph, labels, threads=1) == silhouette(space.graph, labels, threads=3)


def test_fewer_than_two_clusters_compare_with_nothing(make):
    space = jaccard_space(make.awkward["all equal"], LabelOptions(k1=20, k2=2, eps=REACH))
    labels = np.zeros(50, np.int64)
    assert silhouette(space.graph, labels) is None
    assert silhouette(space.graph, labels - 1) is None
