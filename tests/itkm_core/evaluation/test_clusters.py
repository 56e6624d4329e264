"""Label quality against counting pairs one by one, and what outliers do to each score."""

import math
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from itkm_core.errors import LabelError
from itkm_core.evaluation import label_quality


def naive_ari(clusters, persons):
    """Hubert and Arabie's index from the four kinds of pairs."""
    both = one = other = pairs = 0
    for i, j in combinations(range(len(persons)), 2):
        pairs += 1
        both += clusters[i] == clusters[j] and persons[i] == persons[j]
        one += clusters[i] == clusters[j]
        other += persons[i] == persons[j]
    chance = one * other / pairs
    return (both - chance) / ((one + other) / 2 - chance)


def as_singletons(labels):
    return [label if label >= 0 else -1 - row for row, label in enumerate(labels)]


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_counting_pairs(seed):
    rng = np.random.default_rng(seed)
    persons = rng.integers(-1, 8, 80)
    labels = np.where(rng.random(80) < 0.6, persons % 5, rng.integers(-1, 6, 80))
    got = label_quality(labels, persons)

    known = [(a, p) for a, p in zip(labels.tolist(), persons.tolist(), strict=True) if p > 0]
    label, person = [a for a, _ in known], [p for _, p in known]
    inside = [(a, p) for a, p in known if a >= 0]
    assert got.ari == pytest.approx(naive_ari(as_singletons(label), person))
    assert got.nmi == pytest.approx(normalized_mutual_info_score(person, as_singletons(label)))
    assert got.ari_clustered == pytest.approx(naive_ari(*zip(*inside, strict=True)))
    assert got.coverage == pytest.approx(len(inside) / len(known))
    assert got.num_images == len(known)
    assert got.num_unknown == 80 - len(known)
    assert got.num_clusters == len({a for a, _ in inside})
    assert got.num_persons == len(set(person))

    majority = 0
    for cluster in {a for a, _ in inside}:
        members = [p for a, p in inside if a == cluster]
        majority += max(members.count(p) for p in members)
    assert got.purity == pytest.approx(majority / len(inside))
    together = [x == y for (a, x), (b, y) in combinations(inside, 2) if a == b]
    assert got.pair_precision == pytest.approx(np.mean(together))
    same_person = [(a, b) for (a, x), (b, y) in combinations(known, 2) if x == y]
    assert got.pair_recall == pytest.approx(np.mean([a == b != -1 for a, b in same_person]))


def test_perfect_labels():
    got = label_quality([0, 0, 1, 1, 2, 2], [7, 7, 3, 3, 9, 9])
    assert got.summary() | {"ari": got.ari} == {
        **dict.fromkeys(("ari", "nmi", "ari_clustered", "coverage", "purity"), pytest.approx(1.0)),
        **{"pair_precision": 1.0, "pair_recall": 1.0},
        **{"num_images": 6, "num_unknown": 0, "num_clusters": 3, "num_persons": 3},
    }


def test_leaving_out_the_hard_half_does_not_raise_the_headline():
    persons = np.repeat(np.arange(1, 11), 4)
    all_in = np.repeat(np.arange(10), 4)
    half_out = np.where(np.arange(40) % 4 < 2, all_in, -1)
    full, half = label_quality(all_in, persons), label_quality(half_out, persons)
    assert half.ari_clustered == full.ari_clustered == 1.0
    assert half.coverage == 0.5
    assert half.ari < 0.5 * full.ari


def test_outliers_are_not_one_cluster():
    persons = [1, 1, 2, 3, 4, 5]
    labels = [0, 0, -1, -1, -1, -1]
    got = label_quality(labels, persons)
    assert got.ari == pytest.approx(adjusted_rand_score(persons, [0, 0, 1, 2, 3, 4]))
    assert got.ari != pytest.approx(adjusted_rand_score(persons, labels))


def test_nothing_clustered():
    got = label_quality([-1, -1, -1], [1, 1, 2])
    assert (got.ari, got.coverage, got.num_clusters, got.pair_recall) == (0.0, 0.0, 0, 0.0)
    assert math.isnan(got.ari_clustered)
    assert math.isnan(got.purity)
    assert got.summary()["purity"] is None


def test_names_and_order_are_not_seen():
    rng = np.random.default_rng(3)
    persons, labels = rng.integers(1, 9, 60), rng.integers(-1, 7, 60)
    order = rng.permutation(60)
    renamed = np.where(labels < 0, -1, rng.permutation(7)[labels] + 20)
    straight, other = label_quality(labels, persons), label_quality(renamed[order], persons[order])
    assert straight.summary() == pytest.approx(other.summary())


def test_errors():
    with pytest.raises(LabelError, match="2 pseudo-labels for 3 persons"):
        label_quality([0, 1], [1, 1, 2])
    with pytest.raises(LabelError, match="none of 2 images has a known person"):
        label_quality([0, 1], [-1, 0])
    with pytest.raises(LabelError, match="none of 0 images"):
        label_quality([], [])
    with pytest.raises(LabelError, match="pseudo-labels go down to -2"):
        label_quality([0, -2], [1, 1])
    with pytest.raises(LabelError, match=f"persons go up to {2**64 - 1}"):
        label_quality([0, 1], np.array([1, 2**64 - 1], np.uint64))
    with pytest.raises(LabelError, match="persons are float64"):
        label_quality([0, 1], [1.0, 2.0])
