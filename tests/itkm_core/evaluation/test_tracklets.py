"""Scores over tracklets against loops over dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made import unit

from itkm_core.corpus.schema import CORPUS_SCHEMA, IDENTITY_SCHEMA
from itkm_core.errors import FeatureError, LabelError
from itkm_core.evaluation import directions, evaluate_tracklets, label_quality, tracklet_quality

KEYS = ("scenario", "group", "camera", "split", "tracklet")
Rows = list[dict[str, Any]]


def make_rows(seed: int, num: int = 400, groups: tuple[int, ...] = (0, 1)) -> Rows:
    """Images of 6 people in tracklets whose numbers repeat in other cameras; some images are in none."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((7, 6))
    rows = []
    for number in range(num):
        camera, tracklet = int(rng.integers(-1, 3)), int(rng.integers(-1, 9))
        group = int(rng.choice(groups))
        person = 1 + (tracklet * 5 + camera * 3 + group) % 6
        if rng.random() < 0.3:  # what a tracker mixes up, does not know, or nobody is looked for
            person = int(rng.integers(-1, 7))
        feature = unit(centres[[max(person, 0)]] + 0.9 * rng.standard_normal((1, 6)))[0]
        rows.append(
            {
                "sample_id": number,
                "scenario": str(rng.choice(["uvi", "ucc"])),
                "group": group,
                "camera": camera,
                "tracklet": tracklet,
                "split": str(rng.choice(["train", "query", "gallery"], p=[0.2, 0.3, 0.5])),
                "person": person,
                "feature": feature,
            }
        )
    return rows


def tables(rows: Rows) -> tuple[pa.Table, pa.Table, np.ndarray, np.ndarray]:
    def columns(names: list[str]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in names}

    schema = pa.schema([CORPUS_SCHEMA.field(name) for name in ("sample_id", *KEYS)])
    index = pa.table(columns(schema.names), schema=schema)
    people = {**columns(["sample_id", "person"]), "clothes": [-1] * len(rows)}
    features = np.stack([row["feature"] for row in rows])
    return index, pa.table(people, schema=IDENTITY_SCHEMA), features, np.arange(len(rows))


def voted(values: list[int]) -> int:
    counts = Counter(value for value in values if value >= 0)
    return min(counts, key=lambda value: (-counts[value], value), default=-1)


def naive(rows: Rows, scenario: str, query_group: int, gallery_group: int) -> tuple[float, int]:
    """mAP, and the number of queries counted, by walking through each query's sorted gallery."""
    members = defaultdict(list)
    for row in rows:
        if row["tracklet"] >= 0:
            members[tuple(row[name] for name in KEYS)].append(row)
    tracklets = []
    for (name, group, camera, split, _), images in members.items():
        mean = np.mean([image["feature"].astype(np.float64) for image in images], axis=0)
        person = voted([image["person"] for image in images])
        if name == scenario:
            tracklets.append((group, split, camera, person, mean / np.linalg.norm(mean)))
    precisions = []
    for group, split, camera, person, vector in tracklets:
        if (group, split) != (query_group, "query") or person <= 0:
            continue
        answers = [
            (-float(other[4] @ vector), other[3] == person)
            for other in tracklets
            if other[:2] == (gallery_group, "gallery")
            and other[3] != -1
            and not (other[3] == person and other[2] == camera and camera != -1)
        ]
        hits = [right for _, right in sorted(answers)]
        ranks = [place for place, right in enumerate(hits, start=1) if right]
        if ranks:
            precisions.append(np.mean([(k + 1) / place for k, place in enumerate(ranks)]))
    return float(np.mean(precisions)), len(precisions)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("groups", [(0, 1), (1,)])
def test_retrieval_agrees_with_walking_through_the_gallery(
    seed: int, groups: tuple[int, ...]
) -> None:
    rows = make_rows(seed, groups=groups)
    index, identities, features, ids = tables(rows)
    order = np.random.default_rng(9).permutation(len(ids))
    found = evaluate_tracklets(index, identities, features[order], order)
    assert [row.direction for row in found] == directions(index)
    for row in found:
        mean_ap, counted = naive(rows, *row.direction)
        assert row.ranking.mean_ap == pytest.approx(mean_ap, abs=1e-6)
        assert row.ranking.num_queries == counted > 10


def test_only_directions_with_tracklets_on_both_sides_are_scored() -> None:
    rows = make_rows(0)
    for row in rows:
        if row["scenario"] == "uvi" or (row["group"], row["split"]) == (1, "query"):
            row["tracklet"] = -1
    found = evaluate_tracklets(*tables(rows))
    assert [str(row.direction) for row in found] == ["ucc 0->1"]
    for row in rows:
        row["tracklet"] = -1
    assert evaluate_tracklets(*tables(rows)) == []


def test_queries_without_a_match_are_told_and_end_nothing() -> None:
    rows = make_rows(1)
    for row in rows:
        row["person"] = 0
    found = evaluate_tracklets(*tables(rows))
    assert [row.summary()["mean_ap"] for row in found] == [None] * 4
    assert all(row.ranking.num_skipped > 10 for row in found)
    index, identities, features, ids = tables(rows)
    with pytest.raises(FeatureError, match="features lack"):
        evaluate_tracklets(index, identities, features[9:], ids[9:])


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_tracklets_are_those_of_most_of_their_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracklets, persons = rng.integers(-1, 30, 300), rng.integers(-1, 6, 300)
    labels = np.where(rng.random(300) < 0.5, persons, rng.integers(-1, 4, 300))
    persons[tracklets == 4] = -1
    labels[tracklets == 5] = -1
    pooled = [
        (voted(labels[tracklets == each].tolist()), voted(persons[tracklets == each].tolist()))
        for each in range(30)
    ]
    found = tracklet_quality(labels, persons, tracklets)
    assert found == label_quality(*zip(*pooled, strict=True))
    assert found.num_images + found.num_unknown == 30
    assert found.num_unknown >= 1


def test_what_cannot_be_scored() -> None:
    assert tracklet_quality([0, 1], [3, 3], [-1, -1]) is None
    assert tracklet_quality([0, 1], [-1, 0], [0, 1]) is None
    with pytest.raises(LabelError, match="tracklets have shape"):
        tracklet_quality([0, 1], [1, 2], [0])
