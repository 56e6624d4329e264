"""New images against known ones: what must hold whatever they are; test_rule.py has the slow twin."""

from __future__ import annotations

import json

import numpy as np
import pytest

from itkm_core.clustering import LabelOptions, agreement, pseudo_label
from itkm_core.clustering.arrivals import lists as arrival_lists
from itkm_core.clustering.arrivals.label import label_arrivals
from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors.workers import Threads

SMALL = dict(k1=8, k2=3, eps=0.5, min_samples=3)
NAMES = ["random", "copies of every image", "copies of one image", "all equal", "coarse grid"]


@pytest.mark.parametrize("name", [*NAMES, "one-hot"])
@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_against_nothing_it_is_labelling(make, arrive, name):
    rows = make.awkward[name]
    ids = arrive.split(rows, 0, 1)[0]
    found = label_arrivals(
        arrive.known_of(rows[:0], **SMALL), rows, sample_ids=ids, options=LabelOptions(**SMALL)
    )
    alone = pseudo_label(rows, sample_ids=ids, **SMALL)
    np.testing.assert_array_equal(found.labels, alone.labels)
    np.testing.assert_array_equal(found.is_core, alone.is_core)
    np.testing.assert_array_equal(found.confidence, alone.confidence)
    assert found.parameters["new_clusters"] == alone.num_clusters


def same_partition(a, b):
    np.testing.assert_array_equal(np.asarray(a) < 0, np.asarray(b) < 0)
    pairs = set(zip(np.asarray(a).tolist(), np.asarray(b).tolist(), strict=True))
    assert len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def test_where_no_known_cluster_changes_it_is_labelling_anew(make, arrive):
    same = 0
    for seed in range(60):
        rows = make.people(20, 9, 16, 0.6, seed)
        ids, later = arrive.split(rows, 0.05, seed)
        # Two people nobody has seen before.
        later[:18] = True
        known = arrive.known_of(rows[~later], ids[~later], **SMALL)
        found = label_arrivals(
            known, rows[later], sample_ids=ids[later], options=LabelOptions(**SMALL)
        )
        anew = pseudo_label(rows, sample_ids=ids, **SMALL)
        order = np.argsort(ids)
        before = pseudo_label(rows[~later], sample_ids=ids[~later], **SMALL)
        if agreement(before.labels, anew.labels[~later]) < 1:
            continue
        if not np.array_equal(before.is_core, anew.is_core[~later]):
            continue
        same += 1
        same_partition(found.known.labels, anew.labels[order])
        np.testing.assert_array_equal(found.is_core, anew.is_core[later])
        np.testing.assert_array_equal(found.confidence, anew.confidence[later])
    assert same >= 10


@pytest.mark.parametrize(("noise", "least"), [(0.4, 1), (0.75, 0.98)])
def test_a_tenth_that_comes_later_agrees_with_labelling_anew(make, arrive, noise, least):
    rows = make.people(80, 12, 24, noise, 1)
    ids, later = arrive.split(rows, 0.1, 2)
    options = dict(k1=12, k2=4, eps=0.5, min_samples=4)
    known = arrive.known_of(rows[~later], ids[~later], **options)
    found = label_arrivals(
        known, rows[later], sample_ids=ids[later], options=LabelOptions(**options)
    )
    anew = pseudo_label(rows, sample_ids=ids, **options)
    assert agreement(found.labels, anew.labels[later]) >= least
    assert agreement(found.known.labels, anew.labels[np.argsort(ids)]) >= least


@pytest.mark.parametrize("name", ["random", "copies of one image", "coarse grid"])
def test_the_order_of_new_rows_does_not_matter(make, arrive, name):
    rows = make.awkward[name]
    ids, later = arrive.split(rows, 0.4, 7)
    known = arrive.known_of(rows[~later], ids[~later], **SMALL)
    new, new_ids = rows[later], ids[later]
    found = label_arrivals(known, new, sample_ids=new_ids, options=LabelOptions(**SMALL))
    order = np.random.default_rng(8).permutation(len(new))
    again = label_arrivals(
        known, new[order], sample_ids=new_ids[order], options=LabelOptions(**SMALL)
    )
    np.testing.assert_array_equal(again.labels, found.labels[order])
    np.testing.assert_array_equal(again.is_core, found.is_core[order])
    np.testing.assert_array_equal(again.confidence, found.confidence[order])
    np.testing.assert_array_equal(again.known.labels, found.known.labels)
    assert again.parameters == found.parameters


def test_backends_and_threads_give_the_same_labels(make, arrive):
    rows = make.people(60, 10, 16, 0.9, 9)
    ids, later = arrive.split(rows, 0.3, 9)
    known = arrive.known_of(rows[~later], ids[~later], **SMALL)
    found = label_arrivals(known, rows[later], sample_ids=ids[later], options=LabelOptions(**SMALL))
    for backend in ("faiss-flat", "torch"):
        for threads in (1, 3):
            again = label_arrivals(
                known,
                rows[later],
                sample_ids=ids[later],
                options=LabelOptions(backend=backend, **SMALL),
                workers=Threads(threads),
            )
            np.testing.assert_array_equal(again.known.lists, found.known.lists)
            np.testing.assert_array_equal(again.labels, found.labels)


def test_the_inverted_file_serves_too(make, arrive):
    rows = make.people(100, 10, 16, 0.6, 10)
    ids, later = arrive.split(rows, 0.3, 10)
    known = arrive.known_of(rows[~later], ids[~later], **SMALL)
    exact = label_arrivals(known, rows[later], sample_ids=ids[later], options=LabelOptions(**SMALL))
    found = label_arrivals(
        known, rows[later], sample_ids=ids[later], options=LabelOptions(backend="ivf", **SMALL)
    )
    assert found.parameters["backend_used"] == "ivf"
    assert 0.99 <= found.parameters["recall_used"] <= 1
    assert agreement(found.labels, exact.labels) > 0.97


@pytest.mark.parametrize(
    ("asked", "num_known", "num_new", "used"),
    [
        ("auto", 20_000, 2_000, "faiss-flat"),
        ("auto", 100_000, 200, "torch"),
        ("auto", 200, 100_000, "torch"),
        ("auto", 4_000_000, 9_000, "torch"),
        ("auto", 4_000_000, 11_000, "ivf"),
        ("ivf", 10, 10, "ivf"),
        ("faiss-flat", 4_000_000, 11_000, "faiss-flat"),
    ],
)
def test_the_search_goes_by_its_products(asked, num_known, num_new, used):
    assert arrival_lists._backend(asked, num_known, num_new, None) == used


def test_copies_of_known_images_get_their_labels(make, arrive):
    rows = make.people(25, 10, 16, 0.2, 11)
    known = arrive.known_of(rows, **SMALL)
    assert known.labels.max() == 24
    found = label_arrivals(known, rows, options=LabelOptions(**SMALL))
    np.testing.assert_array_equal(found.labels, known.labels)
    assert found.known.sample_ids.tolist() == list(range(500))
    assert found.parameters["num_joined"] == (known.labels >= 0).sum()
    assert found.parameters["new_clusters"] == 0


def test_people_from_far_away_open_new_clusters(make, arrive):
    rows = make.people(25, 10, 16, 0.2, 12)
    far = np.concatenate([np.zeros_like(rows), rows], axis=1)
    known = arrive.known_of(np.concatenate([rows, np.zeros_like(rows)], axis=1), **SMALL)
    found = label_arrivals(known, far, options=LabelOptions(**SMALL))
    alone = pseudo_label(rows, **SMALL)
    assert (alone.num_clusters, alone.labels.min()) == (25, 0)
    np.testing.assert_array_equal(found.labels, alone.labels + 25)
    assert (found.parameters["num_joined"], found.parameters["new_clusters"]) == (0, 25)
    assert found.parameters["would_merge"] == []


def test_no_image_and_one_image(make, arrive):
    rows = make.people(10, 10, 16, 0.5, 13)
    known = arrive.known_of(rows[1:], np.arange(1, 100), **SMALL)
    none = label_arrivals(known, rows[:0], options=LabelOptions(**SMALL))
    assert (len(none.labels), none.known) == (0, known)
    assert none.parameters["num_joined"] == 0
    one = label_arrivals(known, rows[:1], sample_ids=[0], options=LabelOptions(**SMALL))
    assert one.labels.tolist() == [known.labels[0]]
    assert one.known.sample_ids.tolist() == list(range(100))
    json.dumps(one.parameters)


def test_known_outliers_stay_and_are_counted(make, arrive):
    # Three images of one person are no cluster among themselves, a fourth makes them dense.
    rows = make.people(11, 8, 16, 0.3, 14)
    options = dict(k1=8, k2=2, eps=0.5, min_samples=4)
    known = arrive.known_of(rows[:83], **options)
    assert known.labels[80:].tolist() == [-1, -1, -1]
    found = label_arrivals(known, rows[83:84], options=LabelOptions(**options))
    assert found.labels.tolist() == [10]
    assert found.known.labels[80:].tolist() == [-1, -1, -1, 10]
    assert found.parameters["outliers_near"] == 3
    assert pseudo_label(rows[:84], **options).labels[80:].tolist() == [10] * 4


def test_an_image_between_two_clusters_says_which_would_merge(make, arrive):
    # A line of images: two ends are clusters, what comes later fills the gap.
    angle = np.linspace(0, 1, 36)
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    later = np.arange(36) // 12 == 1
    options = dict(k1=5, k2=1, eps=0.7, min_samples=3)
    known = arrive.known_of(rows[~later], np.flatnonzero(~later), **options)
    assert known.labels.tolist() == [0] * 12 + [1] * 12
    assert pseudo_label(rows, **options).num_clusters == 1
    ids = np.flatnonzero(later)
    found = label_arrivals(known, rows[later], sample_ids=ids, options=LabelOptions(**options))
    # Step by step from both ends.
    assert found.labels.tolist() == [0] * 6 + [1] * 6
    assert found.parameters["would_merge"] == [[0, 1]]


def test_thousands_of_copies_cost_as_much_as_one(make, arrive):
    rows = make.people(20, 10, 16, 0.5, 15)
    copies = np.repeat(rows[:1], 20_000, axis=0)
    known = arrive.known_of(np.concatenate([rows, copies]), **SMALL)
    found = label_arrivals(known, copies, options=LabelOptions(**SMALL))
    assert set(found.labels.tolist()) == set(known.labels[200 + 10 :].tolist())
    assert len(set(found.labels.tolist())) == 1


def test_inputs_are_left_as_they_were(make, arrive):
    rows = make.people(10, 10, 16, 0.9, 16)
    known = arrive.known_of(rows[:80], **SMALL)
    arrays = [each for each in vars(known).values() if each is not None]
    before = [np.copy(each) for each in arrays]
    for each in arrays:
        each.flags.writeable = False
    label_arrivals(known, rows[80:], options=LabelOptions(**SMALL))
    for each, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(each, copy)


def test_what_does_not_fit_is_one_clear_error(make, arrive):
    rows = make.people(10, 8, 16, 0.5, 17)
    known = arrive.known_of(rows, **SMALL)
    wrong = [
        (
            FeatureError,
            "8 columns and the known ones 16",
            rows[:, :8] / np.linalg.norm(rows[:, :8], axis=1, keepdims=True),
            {},
        ),
        (
            FeatureError,
            "1 sample ids are those of known images, the first is 79",
            rows[:2],
            dict(sample_ids=[79, 80]),
        ),
        (FeatureError, "repeated", rows[:2], dict(sample_ids=[90, 90])),
        (FeatureError, "hold NaN", np.full((2, 16), np.nan), {}),
        (FeatureError, "not of unit norm", 2 * rows[:2], {}),
        (FeatureError, r"with k1 = 9 expected \(80, 9\)", rows[:2], dict(k1=9)),
        (ConfigError, "eps is 1.5", rows[:2], dict(eps=1.5)),
        (ConfigError, "eps is 'auto'", rows[:2], dict(eps="auto", eps_candidates=(0.5,))),
        (ConfigError, "k2 is 9", rows[:2], dict(k2=9)),
        (ConfigError, "backend is", rows[:2], dict(backend="x")),
    ]
    for kind, said, features, options in wrong:
        ids = options.pop("sample_ids", None)
        with pytest.raises(kind, match=said):
            label_arrivals(known, features, LabelOptions(**{**SMALL, **options}), sample_ids=ids)
