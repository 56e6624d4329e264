"""Scores against identities, as a round's evaluation finds them: matches, and tracklets beside images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made import unit
from match_problem import SCENARIO, Made
from tracked_corpus import label_rows, write_corpus

from itkm_core.corpus.schema import DRAWS_SCHEMA, Corpus
from itkm_core.evaluation import evaluate_corpus, evaluate_tracklets, label_quality
from itkm_core.matching import cluster_accuracy, instance_precision
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import part_folder
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.run.tables import evaluation_tables
from pipelines.steps.evaluate import evaluate, headlines, match_quality
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


def write_features(base: Path, features: np.ndarray) -> None:
    column = pa.FixedSizeListArray.from_arrays(features.ravel(), features.shape[1])
    where = Place.at(base / "features") / part_folder(Block("uvi", 0), "any") / "from-0.parquet"
    where.write_table(pa.table({"sample_id": np.arange(len(features)), "feature": column}))


def scored(base: Path, *, tracklets: bool) -> tuple[Corpus, np.ndarray, dict[str, Any], pa.Table]:
    """A corpus of 12 people in two cameras, as a round evaluates it: with its features, the scores and the labels."""
    person = np.repeat(np.arange(1, 13), 20)
    camera = np.tile(np.repeat([0, 1], 10), 12)
    split = np.where(person > 6, "train", np.where(camera == 0, "query", "gallery"))
    track = 2 * person + np.tile(np.repeat([0, 1], 5), 24)
    columns = {"person": person, "camera": camera, "split": split}
    corpus = write_corpus(base / "corpus", **columns, **({"tracklet": track} if tracklets else {}))
    rng = np.random.default_rng(0)
    features = unit(rng.standard_normal((13, 8))[person] + 0.8 * rng.standard_normal((240, 8)))
    write_features(base, features)
    labels = np.where(rng.random(240) < 0.3, rng.integers(-1, 6, 240), person - 7)
    table = label_rows(corpus, labels, np.ones(240))
    (Place.at(base / "label") / "labels.parquet").write_table(table)
    steps = {Block("uvi", 0): Place.at(base / "label")}
    found = evaluate(corpus.root, Place.at(base / "features"), steps, {}, ["uvi"])
    return corpus, features, found, table


def test_tracklets_are_scored_beside_images(tmp_path: Path) -> None:
    corpus, features, found, labels = scored(tmp_path, tracklets=True)
    people = corpus.identities()
    given = corpus.index(), people, features, np.arange(240)
    assert found["retrieval"] == [row.summary() for row in evaluate_corpus(*given)]
    (row,) = found["tracklets"]["retrieval"]
    assert row == evaluate_tracklets(*given)[0].summary()
    assert (row["num_queries"], found["retrieval"][0]["num_queries"]) == (12, 60)
    assert row["mean_ap"] > found["retrieval"][0]["mean_ap"]
    assert people is not None
    truth = people["person"].to_numpy()[labels["sample_id"].to_numpy()]
    images, tracks = found["labels"][0], found["tracklets"]["labels"][0]
    assert images == {"group": "uvi/0", **label_quality(labels["label"], truth).summary()}
    assert (images["num_images"], tracks["num_images"]) == (120, 24)
    assert tracks["ari"] > images["ari"]
    assert [table.title for table in evaluation_tables(found, "final/evaluate")] == [
        "retrieval, final/evaluate",
        "thresholds, final/evaluate",
        "pseudo-labels, final/evaluate",
        "retrieval of tracklets, final/evaluate",
        "pseudo-labels of tracklets, final/evaluate",
    ]


def test_without_tracklets_the_scores_are_what_they_were(tmp_path: Path) -> None:
    _, _, found, _ = scored(tmp_path / "bare", tracklets=False)
    assert list(found) == ["retrieval", "labels", "matches"]
    assert len(evaluation_tables(found, "final/evaluate")) == 3
    _, _, tracked, _ = scored(tmp_path / "tracked", tracklets=True)
    assert found == {name: tracked[name] for name in found}


def test_a_collection_is_tested_by_its_protocol(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    camera = np.tile([1, 2, 3, 4, 5, 6], 40)
    group = np.isin(camera, (3, 6)).astype(int)
    person = np.repeat(np.arange(1, 9), 30)
    split = np.where(group == 1, "query", "gallery")
    scenario = np.where(person < 5, "night", "uvi")
    draws = pa.table(
        [np.arange(240), np.zeros(240, int), np.tile(np.repeat(np.arange(5), 6), 8)],
        schema=DRAWS_SCHEMA,
    )
    entry = {"scenario": "night", "collection": "sysu-mm01", "protocol": "sysu-mm01"}
    columns = {"scenario": scenario, "group": group, "camera": camera, "split": split}
    columns["person"] = person
    known = {"collections": [entry], "draws": draws.slice(0, 120)}
    corpora = [write_corpus(tmp_path / "plain", **columns)]
    corpora.append(write_corpus(tmp_path / "known", known, **columns))
    assert corpora[0].digest == corpora[1].digest
    write_features(tmp_path, unit(rng.standard_normal((240, 8))))
    given = Place.at(tmp_path / "features"), {}, {}
    plain, found = (evaluate(each.root, *given, ["night", "uvi"]) for each in corpora)
    rows = found["retrieval"]
    assert [row.get("name") for row in rows] == [
        "all-search single-shot",
        "all-search 10-shot",
        "indoor-search single-shot",
        "indoor-search 10-shot",
        None,
    ]
    assert {row["num_draws"] for row in rows[:4]} == {1}  # those of the corpus, not ten of ours
    assert rows[4:] == plain["retrieval"][1:]
    assert headlines(rows) == [rows[0], rows[4]]
    assert headlines(plain["retrieval"]) == plain["retrieval"]
    assert evaluate(corpora[1].root, *given, ["uvi"])["retrieval"] == rows[4:]
    assert [table.row_count for table in evaluation_tables(found, "final/evaluate")] == [5, 5, 0]


def test_rows_within_a_group_do_not_stand_for_a_scenario_across_groups() -> None:
    rows = [
        {"scenario": name, "query_group": query, "gallery_group": 0, "at": at}
        for at, (name, query) in enumerate(
            [("prcc", 1), ("prcc", 1), ("prcc", 0), ("ltcc", 0), ("ltcc", 0)]
        )
    ]
    assert [row["at"] for row in headlines(rows)] == [0, 3]
