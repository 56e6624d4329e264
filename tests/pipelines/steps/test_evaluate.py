"""Matches scored against identities, as a round's evaluation does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from match_problem import SCENARIO, Made

from itkm_core.matching import cluster_accuracy, instance_precision
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.steps.evaluate import match_quality
from pipelines.steps.match import match_scenario


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_matches_are_scored_as_direct_calls_score_them(made: Made) -> None:
    match_scenario(made.task())
    labels = {Block(SCENARIO, group): made.base / f"label-{group}" for group in (0, 1)}
    persons = np.random.default_rng(1).integers(-1, 4, 2000)
    scores = match_quality(made.base / "match", SCENARIO, labels, persons)
    clusters, instances = read_clusters(made.base / "match"), read_instances(made.base / "match")
    assert clusters is not None
    assert instances is not None
    truth = [persons[made.ids[group]] for group in (0, 1)]
    expected = cluster_accuracy(clusters, made.labels[0], truth[0], made.labels[1], truth[1])
    assert scores["clusters"] == expected.summary()
    assert 0 < scores["clusters"]["num_scored"] <= len(clusters.pairs)
    precisions = [instance_precision(instances, side, *truth).summary() for side in (0, 1)]
    assert scores["instances"] == precisions


def test_a_scenario_of_one_group_has_no_scores(tmp_path: Path) -> None:
    made = Made(tmp_path, groups=(1,))
    match_scenario(made.task())
    labels = {f"{SCENARIO}/1": made.base / "label-1"}
    assert match_quality(made.base / "match", SCENARIO, labels, np.ones(2000, int)) == {}
