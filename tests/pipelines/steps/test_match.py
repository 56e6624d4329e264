"""A match step's files against direct calls of itkm_core, on a small made scenario."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from match_problem import RHO, Made

from itkm_core.clustering.cameras import without_camera
from itkm_core.clustering.centroids import cluster_means
from itkm_core.errors import FeatureError
from itkm_core.learning.config import MatchConfig
from itkm_core.learning.text_update import (
    cluster_text,
    majority_text,
    text_cluster,
    update_instance_text,
)
from itkm_core.matching import (
    cluster_health,
    instance_health,
    match_agreement,
    match_clusters,
    match_instances,
)
from itkm_core.matching.chance import mutual_by_chance
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.texts import Texts, read_texts
from pipelines.steps import match
from pipelines.steps.match import match_scenario


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_the_files_are_what_direct_calls_give(made: Made) -> None:
    digest, facts = match_scenario(made.task())
    out = made.base / "match"
    (text_0, instance_0), (text_1, instance_1) = made.moved(0), made.moved(1)
    for group, text, instance in ((0, text_0, instance_0), (1, text_1, instance_1)):
        found = read_texts(out, str(group))
        np.testing.assert_array_equal(found.clusters, text)
        np.testing.assert_array_equal(found.instances, instance)
    sides = made.centroids(0), made.centroids(1)
    clusters = match_clusters(*sides, text_0, text_1)
    kept = read_clusters(out)
    assert kept is not None
    for name in ("pairs", "affinity", "reliable", "mutual"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(clusters, name))
    assert (kept.num_clusters, kept.threshold, kept.method) == ((4, 5), clusters.threshold, "dense")
    instances = match_instances(made.features[0], made.features[1], instance_0, instance_1, k=6)
    stored = read_instances(out)
    assert stored is not None
    for side in (0, 1):
        for found, expected in zip(stored.positives(side), instances.positives(side), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert stored.hard(side) is None

    image = match_clusters(*sides)
    words = match_clusters(*sides, text_0, text_1, image_weight=0)
    health = cluster_health(clusters, image_only=image, text_only=words)
    assert facts["clusters"] == health.summary()
    assert facts["clusters"]["image_text_agreement"] == match_agreement(image, words)
    assert facts["instances"] == [instance_health(instances, side).summary() for side in (0, 1)]
    assert facts["warning"] == ""
    assert match_scenario(made.task())[0] == digest


def test_matches_may_be_of_features_without_their_camera_and_mutual_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = {group: np.arange(len(ids)) % 3 for group, ids in made.ids.items()}
    both = np.concatenate([made.ids[0], made.ids[1]])
    of_id = dict(zip(both.tolist(), np.concatenate([cameras[0], cameras[1]]), strict=True))
    monkeypatch.setattr(match.Corpus, "open", lambda root: root)
    monkeypatch.setattr(match, "cameras_of", lambda _, ids: np.array([of_id[i] for i in ids]))
    options = MatchConfig(k=6, mutual_only=True, quantile=0)
    match_scenario(made.task(without_camera="corpus", options=options))
    features = [without_camera(made.features[group], cameras[group]) for group in (0, 1)]
    (text_0, instance_0), (text_1, instance_1) = made.moved(0), made.moved(1)
    sides = [cluster_means(features[group], made.labels[group]) for group in (0, 1)]
    clusters = match_clusters(*sides, text_0, text_1, quantile=0, mutual_only=True)
    kept = read_clusters(made.base / "match")
    assert kept is not None
    for name in ("pairs", "affinity", "reliable"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(clusters, name))
    assert not kept.reliable.all()
    instances = match_instances(*features, instance_0, instance_1, k=6)
    stored = read_instances(made.base / "match")
    assert stored is not None
    for found, expected in zip(stored.positives(0), instances.positives(0), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_matches_may_be_those_that_stand_out(made: Made) -> None:
    _, facts = match_scenario(made.task(options=MatchConfig(chance=0.4)))
    sides = [cluster_means(made.features[group], made.labels[group]) for group in (0, 1)]
    texts = [made.moved(group)[0] for group in (0, 1)]
    expected = match_clusters(*sides, *texts, chance=0.4)
    kept = read_clusters(made.base / "match")
    assert kept is not None
    np.testing.assert_array_equal(kept.reliable, expected.reliable)
    assert np.isnan(kept.threshold)
    sizes = len(sides[0]), len(sides[1])
    assert facts["clusters"]["by_chance"] == mutual_by_chance(sizes, 0.4)
    assert facts["clusters"]["threshold"] is None


def test_clusters_may_be_compared_by_the_frozen_clip_too(made: Made) -> None:
    options = MatchConfig(frozen_weight=0.3)
    match_scenario(made.task(options=options, frozen=made.base / "frozen"))
    texts = made.moved(0)[0], made.moved(1)[0]
    frozen = [cluster_means(made.frozen[group], made.labels[group]) for group in (0, 1)]
    images = 0.7 * made.centroids(0) @ made.centroids(1).T + 0.3 * frozen[0] @ frozen[1].T
    affinity = 0.5 * images + 0.5 * texts[0] @ texts[1].T
    kept = read_clusters(made.base / "match")
    assert kept is not None
    np.testing.assert_allclose(kept.affinity, affinity[tuple(kept.pairs.T)], atol=1e-6)


def test_the_next_round_moves_the_texts_of_this_one(made: Made) -> None:
    match_scenario(made.task())
    before = {group: made.moved(group)[1] for group in (0, 1)}
    for group in (0, 1):
        made.labels[group] = np.roll(made.labels[group], 3)
        made.write(group)
    texts = {group: Texts(made.base / "match", str(group)) for group in (0, 1)}
    match_scenario(made.task(texts=texts, out=made.base / "next"))
    for group in (0, 1):
        found = read_texts(made.base / "next", str(group))
        expected = cluster_text(before[group], made.labels[group])
        np.testing.assert_array_equal(found.clusters, expected)
        moved = update_instance_text(before[group], expected, made.labels[group], RHO)
        np.testing.assert_array_equal(found.instances, moved)


def test_without_dru_texts_stay_and_clusters_take_the_commonest(made: Made) -> None:
    match_scenario(made.task(rho=None))
    for group in (0, 1):
        found = read_texts(made.base / "match", str(group))
        owners = text_cluster(made.frozen[group], made.first[group], made.offline[group])
        expected = majority_text(owners, made.labels[group], made.offline[group])
        np.testing.assert_array_equal(found.clusters, expected)
        np.testing.assert_array_equal(found.instances, made.offline[group][owners])


@pytest.mark.parametrize(("clusters", "instances"), [(True, False), (False, True), (False, False)])
def test_a_part_that_is_off_leaves_no_file_and_no_fact(
    made: Made, clusters: bool, instances: bool
) -> None:
    _, facts = match_scenario(made.task(clusters=clusters, instances=instances))
    out = made.base / "match"
    assert (read_clusters(out) is not None) == ("clusters" in facts) == clusters
    assert (read_instances(out) is not None) == ("instances" in facts) == instances
    assert read_texts(out, "0").clusters.shape == (4, 8)


def test_without_text_images_decide_alone(made: Made) -> None:
    _, facts = match_scenario(made.task(texts=None))
    out = made.base / "match"
    found, positives = read_clusters(out), read_instances(out)
    assert found is not None
    assert positives is not None
    sides = made.centroids(0), made.centroids(1)
    np.testing.assert_array_equal(found.pairs, match_clusters(*sides).pairs)
    assert facts["clusters"]["image_text_agreement"] is None
    assert set(positives.positives(0).sizes) == {6}
    assert not (out / "text-0.npy").exists()


def test_instances_need_not_be_near_in_text(made: Made) -> None:
    match_scenario(made.task(options=MatchConfig(k=6, instance_text=False)))
    positives = read_instances(made.base / "match")
    assert positives is not None
    assert set(positives.positives(0).sizes) == {6}


def test_hard_negatives_are_kept_where_the_opposite_group_is_large(made: Made) -> None:
    match_scenario(made.task(max_negatives=35, options=MatchConfig(k=6, num_hard=9)))
    found = read_instances(made.base / "match")
    assert found is not None
    assert found.hard(0) is None  # 33 images opposite
    assert found.hard(1) is not None  # 40
    expected = match_instances(made.features[0], made.features[1], k=6, num_hard=9).hard(1)
    np.testing.assert_array_equal(found.hard(1), expected)


def test_a_scenario_of_one_group_has_text_and_no_matches(tmp_path: Path) -> None:
    made = Made(tmp_path, groups=(1,))
    _, facts = match_scenario(made.task())
    out = made.base / "match"
    assert read_clusters(out) is None
    assert read_instances(out) is None
    np.testing.assert_array_equal(read_texts(out, "1").clusters, made.moved(1)[0])
    assert not {"clusters", "instances"} & set(facts)


def test_a_side_without_a_cluster_matches_nothing_and_warns(made: Made) -> None:
    made.labels[1][:] = -1
    made.write(1)
    _, facts = match_scenario(made.task())
    found = read_clusters(made.base / "match")
    assert found is not None
    assert (found.num_clusters, len(found.pairs)) == ((4, 0), 0)
    assert np.isnan(found.threshold)
    assert "no cluster is matched" in facts["warning"]


def test_features_of_other_images_are_refused(made: Made) -> None:
    made.ids[0] = made.ids[0] + 5000
    table = pa.table({"sample_id": made.ids[0], "label": made.labels[0]})
    (made.base / "label-0" / "labels.parquet").write_table(table)
    with pytest.raises(FeatureError, match="no feature"):
        match_scenario(made.task())
