import json
import math
from collections import Counter

import numpy as np
import pytest

from itkm_core.errors import LabelError
from itkm_core.matching import (
    cluster_accuracy,
    instance_precision,
    match_clusters,
    match_instances,
)


def majority(labels, persons, cluster):
    counts = Counter(p for y, p in zip(labels, persons, strict=True) if y == cluster and p > 0)
    return min(counts, key=lambda p: (-counts[p], p)) if counts else None


def naive_image_accuracy(found, labels, persons):
    shares = []
    kept = found.pairs[found.reliable]
    for side in (0, 1):
        for y, person in zip(labels[side], persons[side], strict=True):
            partners = [pair[1 - side] for pair in kept.tolist() if pair[side] == y]
            names = [majority(labels[1 - side], persons[1 - side], c) for c in partners]
            names = [name for name in names if name is not None]
            if y >= 0 and person > 0 and names:
                shares.append(sum(name == person for name in names) / len(names))
    return sum(shares) / len(shares)


@pytest.fixture
def labelled(make):
    """Noisy clusters of 12 people on two sides, with outliers, unknown people and a cluster of only such."""
    rng = np.random.default_rng(0)
    labels = [rng.integers(-1, num, 200) for num in (14, 9)]
    persons = [
        100 + np.where(rng.random(200) < 0.3, rng.integers(0, 12, 200), y % 12) for y in labels
    ]
    for p in persons:
        p[rng.random(200) < 0.1] = rng.integers(-1, 1)
    persons[1][labels[1] == 4] = -1
    found = match_clusters(*make.two_sides(14, 9, 8, 0.5, 1), quantile=0.3)
    return found, labels, persons


def test_accuracy_is_the_naive_one(labelled):
    found, labels, persons = labelled
    score = cluster_accuracy(found, labels[0], persons[0], labels[1], persons[1])
    rows = [
        (majority(labels[0], persons[0], a), majority(labels[1], persons[1], b), reliable, mutual)
        for (a, b), reliable, mutual in zip(
            found.pairs.tolist(), found.reliable, found.mutual, strict=True
        )
    ]
    scored = [row for row in rows if row[0] is not None and row[1] is not None]
    assert 0 < len(scored) < len(rows) == score.num_pairs
    assert score.num_scored == len(scored)
    for value, kept in (
        (score.accuracy, scored),
        (score.reliable_accuracy, [row for row in scored if row[2]]),
        (score.mutual_accuracy, [row for row in scored if row[3]]),
    ):
        assert value == pytest.approx(sum(a == b for a, b, *_ in kept) / len(kept))
    assert 0 < score.accuracy < 1
    assert score.image_accuracy == pytest.approx(naive_image_accuracy(found, labels, persons))
    others = {majority(labels[1], persons[1], b) for b in range(9)}
    own = [majority(labels[0], persons[0], a) for a in range(14)]
    assert score.attainable == pytest.approx(sum(a in others for a in own) / 14)
    json.dumps(score.summary(), allow_nan=False)


def test_perfect_clusters_of_alike_people_are_all_right(make):
    found = match_clusters(*make.two_sides(6, 6, 16, 0.1, 0))
    labels = np.repeat(np.arange(6), 3)
    score = cluster_accuracy(found, labels, labels + 1, labels, labels + 1)
    assert (score.accuracy, score.image_accuracy, score.attainable) == (1, 1, 1)


def test_a_cluster_of_two_equal_halves_is_the_lower_person(make):
    found = match_clusters(*make.two_sides(1, 1, 8, 0.1, 0))
    assert cluster_accuracy(found, [0, 0], [9, 5], [0], [5]).accuracy == 1
    assert cluster_accuracy(found, [0, 0], [9, 5], [0], [9]).accuracy == 0


@pytest.mark.parametrize("persons", [-1, 0])
def test_without_known_people_nothing_is_scored(make, persons):
    found = match_clusters(*make.two_sides(3, 3, 8, 0.1, 0))
    labels, persons = np.arange(3), np.full(3, persons)
    score = cluster_accuracy(found, labels, persons, labels, persons)
    assert math.isnan(score.accuracy)
    assert math.isnan(score.image_accuracy)
    assert math.isnan(score.attainable)
    assert score.num_scored == 0


def test_all_noise_is_scored_over_nothing():
    empty = np.zeros((0, 8), np.float32)
    found = match_clusters(empty, np.eye(2, 8, dtype=np.float32))
    score = cluster_accuracy(found, [-1, -1], [1, 2], [0, 1], [1, 2])
    assert score.num_pairs == 0
    assert math.isnan(score.accuracy)


def test_precision_is_the_naive_one(make):
    f0, f1 = make.two_sides(40, 30, 8, 0.8, 0)
    t0, t1 = make.two_sides(40, 30, 8, 0.8, 1)
    found = match_instances(f0, f1, t0, t1, k=5)
    persons = np.arange(40) % 25, np.arange(30) % 25  # person 0 is unknown
    for side in (0, 1):
        own, other = persons[side], persons[1 - side]
        pairs, shares = [], []
        for i in range(len(own)):
            right = [
                bool(own[i] == other[j])
                for j in found.positives(side).row(i)
                if own[i] > 0 and other[j] > 0
            ]
            pairs += right
            shares += [sum(right) / len(right)] if right else []
        score = instance_precision(found, side, *persons)
        assert (score.num_pairs, score.num_images) == (len(pairs), len(shares))
        assert score.pair_precision == pytest.approx(sum(pairs) / len(pairs))
        assert score.image_precision == pytest.approx(sum(shares) / len(shares))
        assert 0 < score.pair_precision < 1


def test_precision_over_nothing_is_not_a_number(make):
    empty = np.zeros((0, 8), np.float32)
    score = instance_precision(match_instances(empty, make.rows(3, 8, 0)), 1, [], [1, 2, 3])
    assert math.isnan(score.pair_precision)
    assert score.summary()["image_precision"] is None


def test_what_does_not_fit_is_refused(make):
    found = match_clusters(*make.two_sides(3, 2, 8, 0.1, 0))
    with pytest.raises(LabelError, match="3 labels for 2 persons of g = 0"):
        cluster_accuracy(found, [0, 1, 2], [1, 2], [0, 1], [1, 2])
    with pytest.raises(LabelError, match="g = 1 run from 0 to 2; expected -1 to 1"):
        cluster_accuracy(found, [0, 1, 2], [1, 2, 3], [0, 2], [1, 2])
    with pytest.raises(LabelError, match="persons_0"):
        cluster_accuracy(found, [0, 1, 2], [1.0, 2, 3], [0, 1], [1, 2])
    sets = match_instances(*make.two_sides(3, 2, 8, 0.1, 0))
    with pytest.raises(LabelError, match="3 persons for 2 images of g = 1"):
        instance_precision(sets, 0, [1, 2, 3], [1, 2, 3])
