"""Second groups that ingest makes from the one there is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made_corpus import one_source, write_pictures

from itkm_core.collections.low_resolution import factors
from itkm_core.corpus.images import NO_LIMITS, inspect_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.shrink import shrink
from itkm_core.errors import ConfigError, CorpusError
from pipelines.ingest.config import ingest_config

MARKET = [
    *(f"bounding_box_train/{person:04d}_c{cam}s1_000001_01.jpg" for person in (2, 7) for cam in (1, 2)),
    "query/0001_c1s1_000001_00.jpg",
    "query/0001_c3s1_000001_00.jpg",
    "bounding_box_test/0001_c1s1_000002_00.jpg",
    "bounding_box_test/0000_c2s1_000001_00.jpg",
    "bounding_box_test/-1_c2s1_000001_00.jpg",
]  # fmt: skip


def rows_of(corpus: Corpus) -> list[dict]:
    return [row for shard in corpus.shard_paths() for row in pq.read_table(shard).to_pylist()]


def test_market1501_in_two_resolutions(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "market", MARKET, (64, 32))
    corpus = one_source(tmp_path / "corpus", kind="market1501", path=str(root), derive="mlr")
    assert corpus.scenarios == ("mlr-market1501",)
    assert corpus.collections()["mlr-market1501"]["protocol"] == "mlr"
    rows = rows_of(corpus)
    assert len(rows) == len(MARKET)
    for row in rows:
        found = (root / row["uri"]).read_bytes()
        low = "_c1s" in row["uri"]
        asked = "query" if low else "gallery"
        assert row["group"] == low
        assert row["split"] == ("train" if "train" in row["uri"] else asked)
        (factor,) = factors([row["uri"]])
        assert row["image"] == (shrink(found, factor) if low else found)
        assert (row["height"], row["width"]) == inspect_image(row["image"], NO_LIMITS)
    sizes = [shard["num_image_bytes"] for shard in corpus.record["shards"]]
    assert sizes == [sum(len(row["image"]) for row in rows)]


def test_other_cameras_by_name(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", ["near/a.png", "far/a.png", "far/b.png"])
    source = {"kind": "folder", "path": str(root), "pattern": "{camera}/{name}", "derive": "mlr"}
    by = {"by": "camera", "cameras": ["near"]}
    corpus = one_source(tmp_path / "corpus", **source, scenario="s", group_by=by)
    assert [(row["uri"], row["group"], row["height"] < 16) for row in rows_of(corpus)] == [
        ("far/a.png", 0, False),
        ("far/b.png", 0, False),
        ("near/a.png", 1, True),
    ]


def test_what_has_two_groups_needs_no_second_one(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", ["s/0/1/a.png", "s/1/1/a.png"])
    with pytest.raises(CorpusError, match="derive: mlr needs pictures of one group"):
        one_source(tmp_path / "corpus", kind="folder", path=str(root), derive="mlr")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"derive": "night"}, "derive"),
        ({"derive": "mlr", "group_by": {"by": "resolution", "below": 9}}, "names its cameras"),
        ({"derive": "mlr", "kind": "tracks", "tracks": "t.txt"}, "does not apply to crops"),
    ],
)
def test_derivations_that_do_not_fit(more: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ingest_config(sources=[{"kind": "folder", "path": "p", **more}])


def test_a_derivation_is_part_of_a_corpus_identity_and_its_absence_is_not() -> None:
    source = {"kind": "folder", "path": "p"}
    assert "derive" not in ingest_config(sources=[source]).identity()["sources"][0]
    mlr = ingest_config(sources=[{**source, "derive": "mlr"}]).identity()["sources"][0]
    assert mlr["derive"] == "mlr"
