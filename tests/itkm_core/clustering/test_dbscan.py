import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_graphs import graph_of_matrix, matrix
from sklearn.cluster import DBSCAN

from itkm_core.clustering.confidence import confidence
from itkm_core.clustering.dbscan import dbscan
from itkm_core.errors import ConfigError


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.sampled_from([4, 20, 1000]),
    st.sampled_from([0.25, 0.4, 0.5, 0.75]),
    st.integers(1, 8),
)
def test_labels_and_confidence_are_the_twins(twin, seed, num, grid, eps, min_samples):
    d = matrix(seed, num, grid)
    graph = graph_of_matrix(d)
    found = dbscan(graph, eps=eps, min_samples=min_samples)
    labels, core = twin.dbscan(d, eps, min_samples)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.is_core, core)
    np.testing.assert_allclose(
        confidence(graph, found, eps=eps), twin.confidence(d, eps, labels, core), atol=1e-6
    )


@pytest.mark.parametrize("seed", range(8))
def test_core_images_and_noise_are_scikit_learns(seed):
    d = matrix(seed, 200, 1000)
    found = dbscan(graph_of_matrix(d), eps=0.1, min_samples=4)
    theirs = DBSCAN(eps=0.1 + 1e-6, min_samples=4, metric="precomputed").fit(d)
    core = np.zeros(200, bool)
    core[theirs.core_sample_indices_] = True
    assert 0 < core.sum() < 200
    np.testing.assert_array_equal(found.is_core, core)
    np.testing.assert_array_equal(found.labels < 0, theirs.labels_ < 0)
    near = d <= 0.1 + 1e-6
    uncontested = [
        i for i in range(200) if core[i] or len(set(theirs.labels_[near[i] & core])) <= 1
    ]
    pairs = set(zip(found.labels[uncontested], theirs.labels_[uncontested], strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@settings(max_examples=150)
@given(
    st.integers(0, 10**6),
    st.integers(1, 10),
    st.integers(1, 30),
    st.sampled_from([0.25, 0.5, 0.75]),
    st.integers(1, 8),
)
def test_types_stand_for_their_images(twin, seed, num_types, num_images, eps, min_samples):
    rng = np.random.default_rng(seed)
    d = matrix(seed, num_types, 6)
    within = rng.choice([0.1, 0.5, 0.9], num_types)
    members = rng.integers(0, num_types, num_images)
    graph = graph_of_matrix(d, within, members)
    images = d[np.ix_(members, members)]
    same = members[:, None] == members[None]
    images[same] = np.broadcast_to(within[members], images.shape)[same]
    np.fill_diagonal(images, 0)
    found = dbscan(graph, eps=eps, min_samples=min_samples)
    labels, core = twin.dbscan(images, eps, min_samples)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.is_core, core)
    np.testing.assert_allclose(
        confidence(graph, found, eps=eps), twin.confidence(images, eps, labels, core), atol=1e-6
    )


def test_core_images_that_are_a_cluster_each_count_once(twin):
    # Type 0 is a border image, equally near type 1 (three images far from each other, core for the six
    # images 3-8 around them) and type 2 (two images near each other, core for the images 9-13).
    pairs = [(0, 1, 0.4), (0, 2, 0.4)]
    pairs += [(1, t, 0.3) for t in range(3, 9)] + [(2, t, 0.3) for t in range(9, 14)]
    d = line(pairs, 14)
    members = np.array([0, 1, 1, 1, 2, 2, *range(3, 14)])
    within = np.where(np.arange(14) == 2, 0.1, 1.0)
    found = dbscan(graph_of_matrix(d, within, members), eps=0.5, min_samples=7)
    images = d[np.ix_(members, members)]
    same = members[:, None] == members[None]
    images[same] = np.broadcast_to(within[members], images.shape)[same]
    np.fill_diagonal(images, 0)
    np.testing.assert_array_equal(found.labels, twin.dbscan(images, 0.5, 7)[0])
    assert found.is_core.tolist() == [False] + [True] * 5 + [False] * 11
    assert found.labels[0] == found.labels[4] == found.labels[5]
    assert len(set(found.labels[:4].tolist())) == 4


def line(pairs, num):
    d = np.ones((num, num))
    np.fill_diagonal(d, 0)
    for a, b, distance in pairs:
        d[a, b] = d[b, a] = distance
    return d


def two_clusters_and_a_border(to_first, to_second):
    """Images 1-4 and 5-8 are clusters of core images; image 0 is near some of both."""
    clique = [(a, b, 0.1) for c in (1, 5) for a in range(c, c + 4) for b in range(a + 1, c + 4)]
    links = [(0, 1 + i, d) for i, d in enumerate(to_first)]
    links += [(0, 5 + i, d) for i, d in enumerate(to_second)]
    return dbscan(graph_of_matrix(line(clique + links, 9)), eps=0.5, min_samples=4).labels.tolist()


@pytest.mark.parametrize(
    ("to_first", "to_second", "expected"),
    [
        ([0.4], [0.3], 5),  # the nearer core image
        ([0.3], [0.4], 1),
        ([0.4], [0.4 + 1e-12], 1),  # equal but for rounding, so is the count: the first cluster
        ([0.4 + 1e-12], [0.4], 1),
        ([0.5 + 5e-7], [], 1),  # within eps for the tolerance
        ([0.5 + 2e-6], [], None),
    ],
)
def test_a_border_image_goes_to_the_nearest_core_image(to_first, to_second, expected):
    labels = two_clusters_and_a_border(to_first, to_second)
    assert labels[0] == (-1 if expected is None else labels[expected])
    assert labels[0] in (-1, 0)  # numbered by first member
    assert labels[1] != labels[5]


def test_equally_near_clusters_are_told_by_core_neighbours():
    clique = [(a, b, 0.1) for c in (1, 6) for a in range(c, c + 5) for b in range(a + 1, c + 5)]
    links = [(0, 1, 0.4), (0, 6, 0.4), (0, 7, 0.45)]
    labels = dbscan(graph_of_matrix(line(clique + links, 11)), eps=0.5, min_samples=5).labels
    assert labels[0] == labels[6] != labels[1]


def test_a_border_image_joins_nothing():
    # Image 0 is near one core image of each of two clusters: they stay two.
    labels = two_clusters_and_a_border([0.4], [0.4])
    assert sorted(set(labels)) == [0, 1]


def test_every_image_is_a_cluster_with_min_samples_one():
    found = dbscan(graph_of_matrix(line([], 5)), eps=0.5, min_samples=1)
    assert found.labels.tolist() == list(range(5))
    assert confidence(graph_of_matrix(line([], 5)), found, eps=0.5).tolist() == [0] * 5


def test_an_eps_beyond_the_graph_is_refused():
    graph = graph_of_matrix(line([], 5), max_distance=0.5)
    assert dbscan(graph, eps=0.5, min_samples=1).is_core.all()
    with pytest.raises(ConfigError, match=r"up to 0\.5"):
        dbscan(graph, eps=0.6, min_samples=1)
