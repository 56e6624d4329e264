import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.clustering import nearest, pseudo_label
from itkm_core.errors import ConfigError, FeatureError


def same(a, b):
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.is_core, b.is_core)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    assert a.num_clusters == b.num_clusters


def same_partition(a, b):
    """Equal label arrays up to the numbers of the clusters."""
    np.testing.assert_array_equal(np.asarray(a) < 0, np.asarray(b) < 0)
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    assert len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


SETTINGS = [
    dict(k1=30, k2=6, eps=0.6, min_samples=4),
    dict(k1=10, k2=4, eps=0.5, min_samples=4),
    dict(k1=7, k2=1, eps=0.7, min_samples=2),
    dict(k1=5, k2=5, eps=0.4, min_samples=1),
    dict(k1=1, k2=1, eps=0.6, min_samples=2),
]


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize(
    ("num_people", "images", "dimension", "noise", "seed"),
    [
        (1, 1, 4, 0.3, 0),
        (3, 2, 2, 0.3, 1),
        (15, 8, 16, 0.9, 2),
        (20, 10, 64, 1.3, 3),
        (40, 9, 8, 0.6, 4),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_labels_are_the_twins(make, twin, num_people, images, dimension, noise, seed, options):
    rows = make.people(num_people, images, dimension, noise, seed)
    found = pseudo_label(rows, **options)
    labels, core = twin.pseudo_label(rows, **options)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.is_core, core)
    assert found.num_clusters == labels.max() + 1
    k1, k2 = min(options["k1"], len(rows)), min(options["k2"], len(rows))
    d = twin.distances(twin.encoding(rows, k1, k2))
    expected = twin.confidence(d, options["eps"], labels, core)
    np.testing.assert_allclose(found.confidence, expected, atol=1e-6)


@pytest.mark.parametrize("backend", ["faiss-flat", "torch"])
@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize(
    "name",
    [
        "copies of every image",
        "copies of one image",
        "all equal",
        "one-hot",
        "coarse grid",
        "collapsed",
        "two dimensions",
        "one dimension",
    ],
)
@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_ties_and_copies_are_labelled_as_the_twin_does(make, twin, name, options, backend):
    rows = make.awkward[name]
    found = pseudo_label(rows, backend=backend, **options)
    labels, core = twin.pseudo_label(rows, **options)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.is_core, core)


@settings(max_examples=40)
@given(st.data())
def test_labels_are_the_twins_for_any_setting(make, twin, data):
    k1 = data.draw(st.integers(1, 14))
    options = dict(
        k1=k1,
        k2=data.draw(st.integers(1, k1)),
        eps=data.draw(st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 2 / 3, 0.9])),
        min_samples=data.draw(st.integers(1, 6)),
    )
    rows = make.people(
        data.draw(st.integers(2, 12)),
        data.draw(st.integers(7, 9)),
        data.draw(st.integers(2, 10)),
        data.draw(st.floats(0, 1)),
        data.draw(st.integers(0, 10**6)),
    )
    found = pseudo_label(rows, **options)
    labels, core = twin.pseudo_label(rows, **options)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_array_equal(found.is_core, core)


@pytest.mark.parametrize("seed", range(3))
def test_permuted_rows_give_the_same_partition(make, seed):
    # Noise where many images are border images: their cluster must not hang on the order of rows.
    rows = make.people(40, 10, 16, 1.0, seed)
    found = pseudo_label(rows, k1=10, k2=4, eps=0.5)
    assert 0 < (found.labels < 0).sum() < len(rows)
    assert ((found.labels >= 0) & ~found.is_core).sum() > 5
    order = np.random.default_rng(seed).permutation(len(rows))
    again = pseudo_label(rows[order], k1=10, k2=4, eps=0.5)
    same_partition(again.labels, found.labels[order])
    np.testing.assert_array_equal(again.is_core, found.is_core[order])
    np.testing.assert_allclose(again.confidence, found.confidence[order], atol=1e-6)
    first_seen = list(dict.fromkeys(again.labels[again.labels >= 0].tolist()))
    assert first_seen == list(range(again.num_clusters))


@pytest.mark.parametrize("name", ["random", "copies of one image", "coarse grid", "one-hot"])
def test_with_sample_ids_permuted_rows_give_the_same_labels(make, name):
    rows = make.awkward[name]
    ids = np.arange(len(rows)) * 3 + 100
    found = pseudo_label(rows, k1=12, k2=3, sample_ids=ids)
    same(found, pseudo_label(rows, k1=12, k2=3))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        again = pseudo_label(rows[order], k1=12, k2=3, sample_ids=ids[order])
        np.testing.assert_array_equal(again.labels, found.labels[order])
        np.testing.assert_array_equal(again.is_core, found.is_core[order])
        np.testing.assert_array_equal(again.confidence, found.confidence[order])


def test_backends_and_threads_give_the_same_labels(make):
    rows = make.people(150, 10, 32, 1.1, 0)
    found = pseudo_label(rows, k1=15, num_threads=1)
    for backend in ("faiss-flat", "torch"):
        for threads in (1, 2, 3):
            same(found, pseudo_label(rows, k1=15, backend=backend, num_threads=threads))


@pytest.mark.parametrize("eps", [0.5, 0.5 - 1e-5])
def test_distances_of_exactly_one_half(eps):
    # All equal: image 20 has itself, 0 and 1 first in its list, so it shares 2/3 of its encoding with the
    # rest and is at distance 1/2 from every other image.
    found = pseudo_label(np.ones((40, 1), np.float32), k1=4, k2=3, eps=eps, min_samples=4)
    inside = np.arange(40) < 4 if eps < 0.5 else np.ones(40, bool)
    np.testing.assert_array_equal(found.labels, np.where(inside, 0, -1))


MEMORY = """
import sys
import numpy as np
from itkm_core.clustering import pseudo_label

def peak():  # of this process alone, in MB
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1e3

rng = np.random.default_rng(0)
kind, num = sys.argv[1], int(sys.argv[2])
if kind == "people":
    rows = np.repeat(rng.standard_normal((num // 20, 32)), 20, axis=0)
    rows += 0.6 * rng.standard_normal(rows.shape)
else:
    rows = np.repeat(rng.standard_normal((1, 32)), num, axis=0)
    rows[::1000] = rng.standard_normal((num // 1000, 32))
rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
pseudo_label(rows[:200])  # compile, and load what is loaded once
before = peak()
found = pseudo_label(rows)
copies = found.labels[np.arange(num) % 1000 != 0]
print(peak() - before, found.num_clusters, len(set(copies.tolist())))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory of Linux")
@pytest.mark.parametrize(
    ("kind", "num", "limit"),
    [
        ("people", 12_000, 120),  # a float32 N x N array is 576 MB
        ("copies", 60_000, 120),  # pairs of copies are 3.6 G
    ],
)
def test_memory_is_near_linear(kind, num, limit):
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, kind, str(num)], capture_output=True, text=True, timeout=250
    )
    assert run.returncode == 0, run.stderr
    megabytes, num_clusters, labels_of_copies = map(float, run.stdout.split())
    assert megabytes < limit
    if kind == "people":
        assert num_clusters == pytest.approx(num / 20, rel=0.02)
    else:
        assert labels_of_copies == 1


def test_fewer_images_than_k1_warns_once_and_uses_them_all(make, twin):
    rows = make.people(4, 5, 8, 0.3, 0)
    with pytest.warns(UserWarning, match="20 images are fewer than k1 = 30") as caught:
        found = pseudo_label(rows)
    assert len(caught) == 1
    same(found, pseudo_label(rows, k1=20))
    assert (found.parameters["k1"], found.parameters["k1_used"]) == (30, 20)


def test_fewer_images_than_k2(make, twin):
    rows = make.people(1, 3, 8, 0.1, 0)
    with pytest.warns(UserWarning, match="k1 = 3, k2 = 3"):
        found = pseudo_label(rows, min_samples=2)
    assert found.labels.tolist() == twin.pseudo_label(rows, 3, 3, 0.6, 2)[0].tolist()


def test_no_image_and_one_image():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        none = pseudo_label(np.zeros((0, 8), np.float32), sample_ids=np.zeros(0, np.int64))
    assert (len(none.labels), none.num_clusters) == (0, 0)
    assert (none.labels.dtype, none.is_core.dtype) == (np.int64, bool)
    with pytest.warns(UserWarning, match="1 images are fewer"):
        one = pseudo_label(np.eye(1, 8))
    assert (one.labels.tolist(), one.is_core.tolist(), one.num_clusters) == ([-1], [False], 0)
    with pytest.warns(UserWarning, match="1 images are fewer"):
        alone = pseudo_label(np.eye(1, 8), min_samples=1)
    assert (alone.labels.tolist(), alone.confidence.tolist()) == ([0], [0.0])


def test_result_types_and_parameters(make):
    found = pseudo_label(make.people(20, 8, 16, 0.5, 0).astype(np.float64), k1=8, k2=3, eps=0.5)
    assert found.labels.dtype == np.int64
    assert found.is_core.dtype == bool
    assert found.confidence.dtype == np.float32
    assert found.num_clusters == 20
    assert ((found.confidence > 0) == (found.labels >= 0)).all()
    assert (found.confidence <= 1).all()
    assert not found.is_core[found.labels < 0].any()
    parameters = json.loads(json.dumps(found.parameters))
    assert parameters == {
        "k1": 8,
        "k2": 3,
        "eps": 0.5,
        "min_samples": 4,
        "backend": "auto",
        "recall": 0.99,
        "num_images": 160,
        "k1_used": 8,
        "k2_used": 3,
        "backend_used": "faiss-flat",
        "recall_used": 1.0,
        "dbscan_used": "sparse",
    }
    assert found.neighbors.shape == (160, 8)
    assert found.neighbors.dtype == np.int32


def test_neighbors_are_places_in_the_order_of_sample_ids(make):
    rows = make.people(20, 8, 16, 0.5, 0)
    ids = 1000 - 3 * np.random.default_rng(0).permutation(160)
    found = pseudo_label(rows, k1=8, k2=3, eps=0.5, sample_ids=ids)
    np.testing.assert_array_equal(found.neighbors, nearest(rows[np.argsort(ids)], 8).indices)


def test_confidence_tells_wrong_members_from_right_ones(make):
    rows = make.people(150, 12, 32, 1.05, 6)
    person = np.repeat(np.arange(150), 12)
    found = pseudo_label(rows, k1=14, k2=4, eps=0.6)
    members = found.labels >= 0
    main = {c: np.bincount(person[found.labels == c]).argmax() for c in range(found.num_clusters)}
    right = np.array(
        [m and main[c] == p for m, c, p in zip(members, found.labels, person, strict=True)]
    )
    wrong = members & ~right
    assert wrong.sum() >= 10
    pairs = found.confidence[right][:, None] > found.confidence[wrong][None]
    assert pairs.mean() > 0.65


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(k1=5, k2=6), "k2 is 6 and k1 is 5"),
        (dict(k1=0), "k1 is 0"),
        (dict(k1=4.0, k2=1), "k1 is 4.0"),
        (dict(k2=0), "k2 is 0"),
        (dict(min_samples=0), "min_samples is 0"),
        (dict(min_samples=True), "min_samples is True"),
        (dict(eps=0), "eps is 0"),
        (dict(eps=1.0), "eps is 1.0"),
        (dict(eps=1 - 1e-7), "eps is 0.9999999"),
        (dict(eps=float("nan")), "eps is nan"),
        (dict(eps="0.6"), "eps is '0.6'"),
        (dict(backend="cuda"), "backend is 'cuda'"),
        (dict(num_threads=0), "num_threads is 0"),
    ],
)
def test_parameters_out_of_range_are_refused(make, options, message):
    with pytest.raises(ConfigError, match=message):
        pseudo_label(make.people(10, 5, 8, 0.5, 0), **options)


def test_bad_features_are_refused(make):
    rows = make.people(10, 5, 8, 0.5, 0)
    rows[3, 2] = np.nan
    with pytest.raises(FeatureError, match="row 3"):
        pseudo_label(rows)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.arange(49), r"shape \(49,\)"),
        (np.arange(50.0), "dtype float64"),
        (np.arange(50) // 2, "25 sample ids are repeated, the first is 0"),
        (np.arange(50, dtype=np.uint64) + np.uint64(2**63), f"go up to {2**63 + 49}"),
    ],
)
def test_sample_ids_that_name_no_order_are_refused(make, ids, message):
    with pytest.raises(FeatureError, match=message):
        pseudo_label(make.people(10, 5, 8, 0.5, 0), sample_ids=ids)


def test_the_input_is_left_alone(make):
    rows = make.people(10, 5, 8, 0.5, 0)
    copy = rows.copy()
    pseudo_label(rows, k1=5, k2=2, sample_ids=np.arange(50)[::-1])
    np.testing.assert_array_equal(rows, copy)
