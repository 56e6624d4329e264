import json
import math

import numpy as np
import pytest

from itkm_core.errors import ConfigError
from itkm_core.matching import (
    cluster_health,
    instance_health,
    match_agreement,
    match_clusters,
    match_instances,
    problems,
)

EMPTY = np.zeros((0, 8), np.float32)


def test_cluster_health_counts_what_it_says(make):
    vectors = make.two_sides(12, 7, 8, 1.0, 0)
    text = [make.unit(v + 0.4 * make.rows(len(v), 8, 5)) for v in vectors]
    found = match_clusters(*vectors, *text, quantile=0.3)
    image, words = (match_clusters(*vectors, *text, image_weight=beta) for beta in (1, 0))
    health = cluster_health(found, image_only=image, text_only=words)
    assert (health.num_clusters_0, health.num_clusters_1, health.num_pairs) == (12, 7, 12)
    assert health.num_reliable == sum(found.reliable)
    mutual = {
        b for (a, b), is_mutual in zip(found.pairs.tolist(), found.mutual, strict=True) if is_mutual
    }
    assert 0 < len(mutual) < 7
    assert health.mutual_share == len(mutual) / 7
    both = sum(m and r for m, r in zip(found.mutual, found.reliable, strict=True))
    assert health.reliable_mutual_share == both / health.num_reliable
    assert health.threshold == found.threshold
    assert health.affinity["0"] == pytest.approx(min(found.affinity))
    assert health.affinity["0.5"] == pytest.approx(np.median(found.affinity))
    assert health.affinity["1"] == pytest.approx(max(found.affinity))
    by_image, by_text = ({tuple(p) for p in m.pairs.tolist()} for m in (image, words))
    assert health.image_text_agreement == len(by_image & by_text) / len(by_image | by_text)
    assert 0 < health.image_text_agreement < 1
    json.dumps(health.summary(), allow_nan=False)


def test_the_same_matches_agree_and_agreement_needs_both(make):
    found = match_clusters(*make.two_sides(6, 5, 8, 0.5, 0))
    assert match_agreement(found, found) == 1
    assert math.isnan(cluster_health(found, image_only=found).image_text_agreement)
    assert cluster_health(found).summary()["image_text_agreement"] is None
    with pytest.raises(ConfigError, match="same clusters"):
        match_agreement(found, match_clusters(*make.two_sides(5, 5, 8, 0.5, 0)))


def test_perfect_matches_are_all_mutual(make):
    health = cluster_health(match_clusters(*make.two_sides(12, 7, 16, 0.01, 0)))
    assert health.mutual_share == 1


def test_instance_health_counts_empty_sets(make):
    f0, f1 = make.two_sides(40, 30, 8, 0.8, 0)
    t0, t1 = make.two_sides(40, 30, 8, 0.8, 1)
    found = match_instances(f0, f1, t0, t1, k=3)
    for side, num in ((0, 40), (1, 30)):
        sizes = [len(found.positives(side).row(i)) for i in range(num)]
        health = instance_health(found, side)
        assert health.num_images == num
        assert health.mean_size == pytest.approx(sum(sizes) / num)
        ranked = sorted(sizes)
        assert health.median_size == (ranked[num // 2 - 1] + ranked[num // 2]) / 2
        assert health.empty_share == pytest.approx(sizes.count(0) / num)
        assert 0 < health.empty_share < 1


def test_nothing_has_no_health_and_no_error():
    health = cluster_health(match_clusters(EMPTY, EMPTY))
    assert (health.num_pairs, health.affinity) == (0, {})
    sets = instance_health(match_instances(EMPTY, EMPTY), 0)
    assert sets.num_images == 0
    for summary in (health.summary(), sets.summary()):
        json.dumps(summary, allow_nan=False)
    assert health.summary()["mutual_share"] is sets.summary()["empty_share"] is None


def test_collapse_is_named_and_health_is_silent(make):
    good = cluster_health(match_clusters(*make.two_sides(12, 7, 16, 0.1, 0)))
    f0, f1 = make.two_sides(40, 30, 8, 0.3, 0)
    full = instance_health(match_instances(f0, f1, k=3), 0)
    assert problems(good, [full, full], where="ucc") == []
    assert problems(None, where="ucc") == []

    # One direction for each side: every cluster is best for the same one or two.
    crowd = cluster_health(match_clusters(*make.two_sides(60, 60, 8, 1.0, 0, offset=30.0)))
    assert crowd.mutual_share < 0.1
    (line,) = problems(crowd, where="ucc")
    assert "ucc" in line
    assert "mutual best" in line
    (line,) = problems(cluster_health(match_clusters(EMPTY, f1)), where="ucc")
    assert "0 and 30" in line

    # Text that knows nothing of the images.
    foreign = match_instances(f0, f1, make.rows(40, 8, 8), make.rows(30, 8, 9), k=1)
    empty = [instance_health(foreign, side) for side in (0, 1)]
    lines = problems(good, [full, empty[1]], where="ucc")
    assert len(lines) == 1
    assert "g = 1" in lines[0]
    assert "Raise k" in lines[0]
