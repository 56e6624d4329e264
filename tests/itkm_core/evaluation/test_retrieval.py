"""Directions of a corpus, and that each is ranked over its own rows."""

import numpy as np
import pyarrow as pa
import pytest

from itkm_core.corpus.schema import CORPUS_SCHEMA, IDENTITY_SCHEMA
from itkm_core.errors import CorpusError, FeatureError
from itkm_core.evaluation import directions, evaluate_corpus, rank


def make_corpus(layout, seed=0, num_images=12):
    """`layout`: (scenario, group, split) of each run of images. Returns index, identities."""
    rng = np.random.default_rng(seed)
    rows = [part for part in layout for _ in range(num_images)]
    num = len(rows)
    columns = {
        "sample_id": np.arange(num),
        "scenario": [scenario for scenario, _, _ in rows],
        "group": [group for _, group, _ in rows],
        "camera": rng.integers(0, 4, num),
        "split": [split for _, _, split in rows],
    }
    index = pa.table(columns, schema=pa.schema([CORPUS_SCHEMA.field(name) for name in columns]))
    people = {"person": rng.integers(1, 4, num), "clothes": np.full(num, -1)}
    identities = pa.table({"sample_id": np.arange(num), **people}, schema=IDENTITY_SCHEMA)
    features = rng.standard_normal((num, 5)).astype(np.float32)
    return index, identities, features


TWO_WAYS = [
    (s, g, p) for s in ("uvi", "ucc") for g in (0, 1) for p in ("train", "query", "gallery")
]


def test_directions():
    names = lambda layout: [str(d) for d in directions(make_corpus(layout)[0])]  # noqa: E731
    assert names(TWO_WAYS) == ["ucc 1->0", "ucc 0->1", "uvi 1->0", "uvi 0->1"]
    assert names([("reid", 0, "query"), ("reid", 0, "gallery")]) == ["reid 0->0"]
    assert names([("reid", 1, "query"), ("reid", 1, "gallery")]) == ["reid 1->1"]
    assert names([("ucr", 1, "query"), ("ucr", 0, "gallery")]) == ["ucr 1->0"]
    assert names([("ucr", 0, "train"), ("ucr", 1, "query")]) == []


@pytest.mark.parametrize("as_mapping", [False, True])
def test_every_direction_is_ranked_over_its_rows(as_mapping):
    index, identities, features = make_corpus(TWO_WAYS)
    order = np.random.default_rng(1).permutation(len(features))  # features come in any order
    if as_mapping:
        index, identities = (
            {name: table.column(name).to_numpy() for name in table.column_names}
            for table in (index, identities)
        )
    rows = evaluate_corpus(index, identities, features[order], order, block=5, max_rank=7)
    assert [row.direction for row in rows] == directions(index)

    column = lambda table, name: np.asarray(table[name])  # noqa: E731
    for row in rows:
        here = column(index, "scenario") == row.direction.scenario
        q = here & (column(index, "group") == row.direction.query_group)
        q &= column(index, "split") == "query"
        g = here & (column(index, "group") == row.direction.gallery_group)
        g &= column(index, "split") == "gallery"
        person, camera = column(identities, "person"), column(index, "camera")
        want = rank(features[q], features[g], person[q], person[g], camera[q], camera[g])
        assert q.sum() == g.sum() == 12
        assert row.ranking.mean_ap == want.mean_ap
        np.testing.assert_array_equal(row.ranking.cmc, want.cmc[:7])
    assert list(rows[0].summary())[:3] == ["scenario", "query_group", "gallery_group"]


def test_train_features_may_be_missing():
    index, identities, features = make_corpus(TWO_WAYS)
    tested = np.flatnonzero(np.asarray(index["split"]) != "train")
    some = evaluate_corpus(index, identities, features[tested], tested)
    every = evaluate_corpus(index, identities, features, np.arange(len(features)))
    assert [r.summary() for r in some] == [r.summary() for r in every]


def test_dictionary_encoded_columns():
    index, identities, features = make_corpus(TWO_WAYS)
    for name in ("scenario", "split"):
        place = index.column_names.index(name)
        index = index.set_column(place, name, index[name].dictionary_encode())
    assert len(evaluate_corpus(index, identities, features, np.arange(len(features)))) == 4


def test_a_direction_without_matches_stays():
    index, identities, features = make_corpus(TWO_WAYS)
    person = np.asarray(identities["person"]).copy()
    person[np.asarray(index["scenario"]) == "uvi"] = -1
    identities = identities.set_column(1, "person", pa.array(person))
    rows = evaluate_corpus(index, identities, features, np.arange(len(features)))
    assert [row.ranking.num_queries > 0 for row in rows] == [True, True, False, False]
    assert rows[2].summary()["mean_ap"] is None


def test_errors():
    index, identities, features = make_corpus(TWO_WAYS)
    ids = np.arange(len(features))
    with pytest.raises(CorpusError, match="no identities"):
        evaluate_corpus(index, None, features, ids)
    with pytest.raises(CorpusError, match=r"query and gallery images .*\['train'\]"):
        evaluate_corpus(*make_corpus([("uvi", 0, "train")])[:2], features, ids)
    with pytest.raises(CorpusError, match="no column 'camera'"):
        evaluate_corpus(index.drop_columns(["camera"]), identities, features, ids)
    with pytest.raises(CorpusError, match="identities lack 1 of"):
        evaluate_corpus(index, identities.slice(0, len(ids) - 1), features, ids)
    with pytest.raises(FeatureError, match=r"features lack 96 of 96 .* sample id 12"):
        evaluate_corpus(index, identities, features[:12], ids[:12])
    with pytest.raises(FeatureError, match="more than once, first 0"):
        evaluate_corpus(index, identities, features, np.maximum(ids - 1, 0))
    with pytest.raises(FeatureError, match="143 features for 144 sample ids"):
        evaluate_corpus(index, identities, features[1:], ids)
    nobody = identities.set_column(1, "person", pa.array(np.zeros(len(ids), np.int64)))
    with pytest.raises(CorpusError, match=r"no query has a match.*uvi 0->1: 12 skipped"):
        evaluate_corpus(index, nobody, features, ids)


def test_a_scenario_with_a_protocol_is_asked_by_it():
    layout = [(s, g, p) for s in ("sysu", "uvi") for g, p in ((1, "query"), (0, "gallery"))]
    index, identities, features = make_corpus([*layout, ("uvi", 0, "query")], num_images=40)
    ids = np.arange(len(features))
    index = index.append_column("tracklet", pa.array(np.full(len(ids), -1)))
    sysu = np.asarray(index["scenario"]) == "sysu"
    camera = np.where(np.asarray(index["group"]) == 1, 3 + 3 * (ids % 2), 1 + ids % 2)
    camera = np.where(sysu, camera, np.asarray(index["camera"]))
    index = index.set_column(3, "camera", pa.array(camera.astype(np.int32)))
    draws = {  # of another scenario too, whose ids must not be mistaken for rows
        "sample_id": np.r_[ids[40:80], ids[120:160]],
        "draw": np.zeros(80, np.int16),
        "place": np.tile(np.arange(40) // 20, 2),
    }
    given = index, identities, features, ids
    rows = evaluate_corpus(*given, protocols={"sysu": "sysu-mm01"}, draws=draws)
    assert [str(row) for row in rows] == [
        "sysu 1->0 all-search single-shot",
        "sysu 1->0 all-search 10-shot",
        "sysu 1->0 indoor-search single-shot",
        "sysu 1->0 indoor-search 10-shot",
        "uvi 1->0",
    ]
    (draw,) = rows[0].setting.draws
    np.testing.assert_array_equal(draw.gallery, np.arange(40, 60))
    person = np.asarray(identities["person"])
    q, g = ids[:40], ids[40:60]
    want = rank(
        features[q],
        features[g],
        person[q],
        person[g],
        camera[q],
        camera[g],
        rules=rows[0].setting.rules,
    )
    summary = rows[0].summary()
    assert {name: summary[name] for name in want.summary()} == want.summary()
    assert rows[-1].summary() == evaluate_corpus(*given)[-1].summary()
    with pytest.raises(CorpusError, match="no column 'tracklet'"):
        evaluate_corpus(
            index.drop_columns(["tracklet"]), *given[1:], protocols={"sysu": "sysu-mm01"}
        )
