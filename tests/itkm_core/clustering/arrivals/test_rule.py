"""Labels of new images are those of a slow twin, image by image on dense arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itkm_core.clustering import LabelOptions
from itkm_core.clustering.arrivals.label import Known, label_arrivals
from itkm_core.neighbors.nearest import nearest

SMALL = dict(k1=8, k2=3, eps=0.5, min_samples=3)
NAMES = ["random", "copies of every image", "copies of one image", "all equal", "coarse grid"]


def twin_of_place(d, labels, core, is_new, eps, min_samples, tolerance=1e-6):
    """The rule of rule.py word for word, image by image: labels, core flags, confidence, pairs, outliers."""
    near = d <= eps + tolerance
    np.fill_diagonal(near, True)
    labels = np.where(is_new, -1, labels)
    num_known = labels.max(initial=-1) + 1
    known_core = core & ~is_new
    new_core = is_new & (near.sum(axis=1) >= min_samples)

    def choose(i, cores, now):
        first = {c: np.flatnonzero(cores & (now == c))[0] for c in set(now[cores].tolist())}
        at = [j for j in np.flatnonzero(near[i] & cores) if j != i]
        return min(
            (-np.float32(1 - d[i, j]), -(now[at] == now[j]).sum(), first[now[j]], now[j])
            for j in at
        )[3]

    def reach(who, cores):
        there = [i for i in np.flatnonzero(who) if (near[i] & cores).any()]
        labels[there] = [choose(i, cores, labels.copy()) for i in there]
        return len(there)

    step = reach(new_core, known_core)
    while step:
        step = reach(new_core & (labels < 0), new_core & (labels >= 0))
    number = num_known
    for i in np.flatnonzero(new_core):
        if labels[i] < 0:
            labels[i], queue = number, [i]
            while queue:
                found = np.flatnonzero(near[queue.pop()] & new_core & (labels < 0))
                labels[found] = number
                queue.extend(found)
            number += 1
    core = known_core | new_core
    reach(is_new & ~core, core)
    order = list(dict.fromkeys(labels[is_new & (labels >= num_known)].tolist()))
    labels = np.array(
        [
            num_known + order.index(x) if n and x >= num_known else x
            for x, n in zip(labels, is_new, strict=True)
        ],
        int,
    )
    confidence = np.zeros(len(d))
    for i in np.flatnonzero(is_new & (labels >= 0)):
        mates = near[i] & (labels == labels[i]) & (np.arange(len(d)) != i)
        support = mates & core if (mates & core).any() else mates & core[i]
        confidence[i] = (1 - d[i, support]).mean() if support.any() else 0
    pairs = {
        (min(labels[i], labels[j]), max(labels[i], labels[j]))
        for i in np.flatnonzero(new_core)
        for j in np.flatnonzero(near[i] & core)
        if labels[i] != labels[j]
    }
    outliers = (~is_new & (labels < 0) & near[:, new_core].any(axis=1)).sum()
    return SimpleNamespace(
        labels=labels, is_core=core, confidence=confidence, pairs=sorted(pairs), outliers=outliers
    )


def by_twin(twin, known, rows, ids, options):
    """What `label_arrivals` must find, on dense arrays."""
    all_ids = np.concatenate([known.sample_ids, ids])
    order = np.argsort(all_ids)
    together = np.concatenate([known.rows, rows])[order]
    is_new = order >= len(known.rows)
    labels = np.concatenate([known.labels, np.full(len(rows), -1)])[order]
    core = np.concatenate([known.is_core, np.zeros(len(rows), bool)])[order]
    k1, k2 = min(options["k1"], len(order)), min(options["k2"], len(order))
    d = twin.distances(twin.encoding(together, k1, k2))
    found = twin_of_place(d, labels, core, is_new, options["eps"], options["min_samples"])
    back = np.argsort(order)[len(known.rows) :]
    return found, twin.lists(together, k1), back


def check_against_twin(twin, known, rows, ids, options):
    found = label_arrivals(known, rows, sample_ids=ids, options=LabelOptions(**options))
    expected, lists, back = by_twin(twin, known, rows, ids, options)
    np.testing.assert_array_equal(found.known.lists, lists)
    np.testing.assert_array_equal(found.known.labels, expected.labels)
    np.testing.assert_array_equal(found.known.is_core, expected.is_core)
    np.testing.assert_array_equal(found.labels, expected.labels[back])
    np.testing.assert_array_equal(found.is_core, expected.is_core[back])
    np.testing.assert_allclose(found.confidence, expected.confidence[back], atol=1e-6)
    assert [tuple(pair) for pair in found.parameters["would_merge"]] == expected.pairs
    assert found.parameters["outliers_near"] == expected.outliers
    return found


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [SMALL, dict(k1=12, k2=1, eps=0.6, min_samples=4), dict(k1=3, k2=2, eps=0.4, min_samples=1)],
)
@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_ties_and_copies_are_labelled_as_the_twin_does(make, arrive, twin, name, share, options):
    rows = make.awkward[name]
    ids, later = arrive.split(rows, share, 3)
    known = arrive.known_of(rows[~later], ids[~later], **options)
    check_against_twin(twin, known, rows[later], ids[later], options)


@settings(max_examples=60)
@given(st.data())
@pytest.mark.filterwarnings("ignore:.*fewer than k1")
def test_any_people_are_labelled_as_the_twin_does(make, arrive, twin, data):
    k1 = data.draw(st.integers(1, 14))
    options = dict(
        k1=k1,
        k2=data.draw(st.integers(1, k1)),
        eps=data.draw(st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 2 / 3, 0.9])),
        min_samples=data.draw(st.integers(1, 6)),
    )
    rows = make.people(
        data.draw(st.integers(1, 10)),
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(2, 10)),
        data.draw(st.floats(0, 1)),
        data.draw(st.integers(0, 10**6)),
    )
    ids, later = arrive.split(rows, data.draw(st.floats(0, 1)), data.draw(st.integers(0, 99)))
    later[0] = True
    known = arrive.known_of(rows[~later], ids[~later], **options)
    # Whatever labels the known images have: the rule must hold for those of many arrivals too.
    if data.draw(st.booleans()):
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        labels = rng.integers(-1, 4, len(known.labels))
        core = (labels >= 0) & (rng.random(len(labels)) < 0.6)
        known = Known(known.sample_ids, known.rows, known.lists, labels, core)
    check_against_twin(twin, known, rows[later], ids[later], options)


def test_known_labels_stay_and_arrivals_can_follow_one_another(make, arrive, twin):
    rows = make.people(30, 10, 16, 0.9, 4)
    ids, _ = arrive.split(rows, 0, 5)
    parts = np.array_split(np.random.default_rng(6).permutation(300), 4)
    known = arrive.known_of(rows[parts[0]], ids[parts[0]], **SMALL)
    for part in parts[1:]:
        before = dict(zip(known.sample_ids.tolist(), known.labels.tolist(), strict=True))
        found = check_against_twin(twin, known, rows[part], ids[part], SMALL)
        assert found.num_known_clusters == known.labels.max() + 1
        known = found.known
        after = dict(zip(known.sample_ids.tolist(), known.labels.tolist(), strict=True))
        assert {i: after[i] for i in before} == before
        assert [after[i] for i in ids[part]] == found.labels.tolist()
    assert sorted(after) == sorted(ids.tolist())
    np.testing.assert_array_equal(known.lists, nearest(rows[np.argsort(ids)], 8).indices)
