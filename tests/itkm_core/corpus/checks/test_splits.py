from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa

from itkm_core.corpus.checks.splits import copies, lone_cameras, people_in_both_splits

SPLITS = ("train", "query", "gallery")


def rows_of(table: pa.Table) -> list[tuple]:
    return [(row["sample_id"], row["other"]) for row in table.to_pylist()]


def test_copies_are_those_of_a_search_of_all() -> None:
    rng = np.random.default_rng(0)
    split = rng.choice(SPLITS, 80).tolist()
    digest = [bytes([each]) * 16 for each in rng.integers(0, 40, 80).tolist()]
    ids = np.arange(80) * 3
    leak, again = copies(ids, pa.chunked_array([split]), pa.chunked_array([digest]))
    leaks, copied = [], []
    for row in range(80):
        same = [n for n in range(80) if digest[n] == digest[row]]
        train = [n for n in same if split[n] == "train"]
        own = train if split[row] == "train" else [n for n in same if split[n] != "train"]
        if split[row] != "train" and train:
            leaks.append((row * 3, train[0] * 3))
        if own[0] < row:
            copied.append((row * 3, own[0] * 3))
    assert min(len(leaks), len(copied)) > 5
    assert rows_of(leak) == leaks
    assert rows_of(again) == copied
    assert set(leak["kind"].to_pylist()) == {"leak"}


def test_people_in_both_splits_are_those_of_a_count() -> None:
    rng = np.random.default_rng(1)
    columns = {
        "sample_id": np.arange(90),
        "scenario": rng.choice(["a", "b"], 90),
        "split": rng.choice(SPLITS, 90, p=[0.7, 0.15, 0.15]),
        "person": rng.integers(-1, 30, 90),
    }
    index = pa.table({name: columns[name] for name in ("sample_id", "scenario", "split")})
    identities = pa.table({"sample_id": columns["sample_id"], "person": columns["person"]})
    people = defaultdict(lambda: ([], []))
    for row in range(90):
        if columns["person"][row] > 0:
            of = people[str(columns["scenario"][row]), int(columns["person"][row])]
            of[columns["split"][row] != "train"].append(row)
    expected = {
        (test[0], train[0], float(person)): f"person {person} of {scenario}: "
        f"{len(train)} pictures in train, {len(test)} in test"
        for (scenario, person), (train, test) in people.items()
        if train and test
    }
    assert len(expected) > 5
    found = people_in_both_splits(identities, index).to_pylist()
    assert {(r["sample_id"], r["other"], r["value"]): r["detail"] for r in found} == expected
    assert [row["sample_id"] for row in found] == sorted(row["sample_id"] for row in found)


def test_a_camera_is_one_of_a_scenario_and_group_and_unknown_ones_do_not_count() -> None:
    index = pa.table(
        {
            "sample_id": [0, 1, 2, 3, 4, 5],
            "scenario": ["a", "a", "a", "b", "b", "b"],
            "group": [0, 0, 1, 0, 0, 1],
            "camera": [3, 3, 3, 3, -1, 7],
        }
    )
    found = lone_cameras(index).to_pylist()
    assert [(r["sample_id"], r["value"], r["other"]) for r in found] == [
        (2, 3, -1),
        (3, 3, -1),
        (5, 7, -1),
    ]
    assert found[0]["detail"] == "camera 3 of a/1"
