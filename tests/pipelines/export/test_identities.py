"""Numbers of identities over blocks, and clusters that stay who they are from one labelling to the next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.artifacts.blocks import Block
from pipelines.export.identities import number_clusters, same_cluster


def labels_of(**clusters: list[int]) -> pa.Table:
    rows = [(name[:-1], int(name[-1]), label) for name, own in clusters.items() for label in own]
    scenario, group, label = zip(*rows, strict=True)
    return pa.table(
        {"scenario": scenario, "group": pa.array(group, pa.int8()), "label": pa.array(label)}
    )


def test_no_number_is_in_two_blocks_but_for_joined_clusters() -> None:
    labels = labels_of(uvi1=[0, 1, 2, -1], ucc0=[1, 0, -1], uvi0=[0, 1, 1], solo1=[-1, -1])
    apart = number_clusters(labels, {})
    assert {block.name: own.tolist() for block, own in apart.items()} == {
        "solo/1": [],
        "ucc/0": [1, 2],
        "uvi/0": [3, 4],
        "uvi/1": [5, 6, 7],
    }
    joined = number_clusters(labels, {"uvi": np.array([[1, 0], [0, 2]])})
    assert joined[Block("uvi", 0)].tolist() == [3, 4]
    assert joined[Block("uvi", 1)].tolist() == [4, 5, 3]


@pytest.mark.parametrize("seed", range(5))
def test_a_cluster_stays_where_most_of_both_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(-1, 8, 200)
    renamed = rng.permutation(8)
    after = np.where(before >= 0, renamed[before], -1)
    after = np.where(rng.random(200) < 0.1 * seed, rng.integers(-1, 8, 200), after)
    expected = []
    for old in range(before.max() + 1):
        images = set(np.flatnonzero(before == old))
        same = [
            new
            for new in range(after.max() + 1)
            if 2 * len(images & set(np.flatnonzero(after == new)))
            > max(len(images), (after == new).sum())
        ]
        assert len(same) < 2
        expected.append(same[0] if same else -1)
    assert same_cluster(before, after).tolist() == expected
    if not seed:
        assert expected == renamed.tolist()


def test_outliers_are_no_cluster() -> None:
    none = np.full(4, -1)
    assert same_cluster(none, none).tolist() == []
    assert same_cluster(np.array([0, 0, 1, 1]), none).tolist() == [-1, -1]
    assert same_cluster(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
