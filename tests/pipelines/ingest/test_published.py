"""What a corpus keeps of a public collection."""

from __future__ import annotations

import io

import pyarrow as pa

from itkm_core.collections.collection import Count, count_found
from itkm_core.corpus.schema import DRAWS_SCHEMA
from pipelines.console import Console
from pipelines.ingest.published import differs, draws_by_id
from pipelines.ingest.tables import published_table


def test_counts_are_of_the_part_they_name() -> None:
    rows = pa.table(
        {
            "split": ["train", "train", "gallery", "gallery", "gallery", "query"],
            "group": [0, 1, 0, 0, 0, 1],
            "person": [7, 7, 0, -1, 3, 3],
        }
    )
    counts = [
        Count("all"),
        Count("train", "train"),
        Count("infrared", group=1),
        Count("gallery", "gallery", without_junk=True),
        Count("trial 1", "query", 1, variant="1"),
        Count("trial 2", "query", 1, variant="2"),
    ]
    found = [(each.expected.label, *each[1:]) for each in count_found(counts, rows, "2")]
    assert found == [
        ("all", 6, 2),
        ("train", 2, 1),
        ("infrared", 2, 2),
        ("gallery", 2, 1),
        ("trial 2", 1, 1),
    ]


def test_a_part_differs_where_a_published_number_does() -> None:
    count = {"part": "train", "images": 3, "persons": 2}
    count |= {"published_images": 3, "published_persons": None}
    assert not differs(count)
    assert differs({**count, "published_images": 4})
    assert differs({**count, "published_persons": 1})
    more = {**count, "part": "query", "published_images": 12_936}
    collection = {"scenario": "m", "variant": "labeled", "counts": [count, more]}
    console = Console(file=io.StringIO(), width=80)
    console.print(published_table(collection))
    train, query = console.file.getvalue().splitlines()[-3:-1]
    assert "differs" not in train
    assert "12,936" in query
    assert "differs" in query


def test_draws_follow_the_pictures_to_their_sample_ids() -> None:
    draws = pa.table(
        {
            "scenario": ["s"] * 4,
            "uri": ["b", "a", "b", "gone"],
            "draw": pa.array([1, 0, 0, 0], pa.int16()),
            "place": pa.array([0, 1, 0, 2], pa.int16()),
        }
    )
    accepted = pa.table({"scenario": ["r", "s", "s"], "uri": ["a", "a", "b"]})
    found = draws_by_id(draws, accepted)
    assert found.schema == DRAWS_SCHEMA
    assert [tuple(row.values()) for row in found.to_pylist()] == [(1, 0, 1), (2, 0, 0), (2, 1, 0)]
