"""Second groups that ingest makes from the one there is."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made_corpus import ingested, one_source, write_pictures

from itkm_core.collections.low_resolution import factors
from itkm_core.corpus.images import NO_LIMITS, inspect_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.shrink import shrink
from itkm_core.errors import ConfigError, CorpusError
from pipelines.ingest.config import ingest_config
from pipelines.ingest.make import ingest
from pipelines.ingest.tables import summary_notes

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


@pytest.mark.parametrize("how", ["mlr", "clothes"])
def test_what_has_two_groups_needs_no_second_one(tmp_path: Path, how: str) -> None:
    root = write_pictures(tmp_path / "p", ["s/0/1/a.png", "s/1/1/a.png"])
    with pytest.raises(CorpusError, match=f"derive: {how} needs pictures of one group"):
        one_source(tmp_path / "corpus", kind="folder", path=str(root), derive=how)


LTCC = [
    "train/001_1_c1_000001.png",
    "train/001_2_c2_000001.png",
    "query/002_1_c1_000001.png",
    "test/002_2_c3_000001.png",
]


def test_ltcc_in_other_clothes(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "ltcc", LTCC)
    corpus = one_source(tmp_path / "corpus", kind="ltcc", path=str(root), derive="clothes")
    assert corpus.scenarios == ("ltcc",)
    assert corpus.collections()["ltcc"]["protocol"] == "ltcc"
    assert corpus.in_other_clothes == {("ltcc", 1)}
    assert corpus.counts == {
        ("ltcc", 0, "train"): 2,
        ("ltcc", 1, "train"): 2,
        ("ltcc", 0, "query"): 1,
        ("ltcc", 0, "gallery"): 1,
    }
    rows = rows_of(corpus)
    assert [row["sample_id"] for row in rows] == list(range(6))
    assert [row["uri"] for row in rows] == sorted([*LTCC, *(f"{uri}#clothes" for uri in LTCC[:2])])
    of = {row["uri"]: row for row in rows}
    people = {row["sample_id"]: row for row in corpus.identities().to_pylist()}
    for uri in LTCC[:2]:
        seen, view = of[uri], of[f"{uri}#clothes"]
        assert seen["image"] == view["image"] == (root / uri).read_bytes()
        assert (seen["group"], view["group"]) == (0, 1)
        same = {"scenario", "camera", "tracklet", "frame", "split", "height", "width"}
        assert all(seen[name] == view[name] for name in same)
        person, other = (people[row["sample_id"]] for row in (seen, view))
        assert person["person"] == other["person"]
        assert person["clothes"] > 0 > other["clothes"]
    assert any(
        "ltcc/1 shows the training pictures of ltcc/0" in note for note in summary_notes(corpus)
    )


def test_a_corpus_with_views_is_found_again_and_views_are_no_pictures_that_went(
    tmp_path: Path,
) -> None:
    root = write_pictures(tmp_path / "ltcc", LTCC)
    config = ingest_config(sources=[{"kind": "ltcc", "path": str(root), "derive": "clothes"}])
    made = ingested(config, tmp_path / "corpus")
    assert ingest(config, tmp_path / "corpus") == made
    write_pictures(root, ["train/001_2_c2_000002.png"])
    with pytest.raises(CorpusError, match="1 pictures are new and 0 are gone"):
        ingest(config, tmp_path / "corpus")
    plain = ingest_config(sources=[{"kind": "ltcc", "path": str(root)}])
    with pytest.raises(CorpusError, match="derive"):
        ingest(plain, tmp_path / "corpus")


def test_only_the_source_that_asks_for_it_is_seen_in_other_clothes(tmp_path: Path) -> None:
    sources = []
    for name in ("a", "b"):
        root = write_pictures(tmp_path / name, [f"{number}.png" for number in range(3)])
        sources.append({"kind": "folder", "path": str(root), "pattern": "{name}", "scenario": name})
    sources[0]["derive"] = "clothes"
    corpus = ingested(ingest_config(sources=sources, shard_bytes=1000), tmp_path / "corpus")
    assert len(corpus.shards) > 2
    found = [(row["scenario"], row["group"], row["uri"]) for row in rows_of(corpus)]
    views = [("a", 1, f"{number}.png#clothes") for number in range(3)]
    plain = [(name, 0, f"{number}.png") for name in "ab" for number in range(3)]
    assert found == sorted([*plain, *views], key=lambda row: (row[0], row[2]))
    assert corpus.groups() == [("a", 0), ("a", 1), ("b", 0)]
    assert corpus.in_other_clothes == {("a", 1)}


@pytest.mark.parametrize(
    ("name", "pattern", "said"),
    [
        ("query/a.png", "{split}/{name}", "no training pictures"),
        ("a.png#clothes", "{name}", "ends in #clothes"),
    ],
)
def test_pictures_that_cannot_be_seen_in_other_clothes(
    tmp_path: Path, name: str, pattern: str, said: str
) -> None:
    root = write_pictures(tmp_path / "p", [name])
    source = {"kind": "folder", "path": str(root), "pattern": pattern, "scenario": "s"}
    with pytest.raises(CorpusError, match=said):
        one_source(tmp_path / "corpus", **source, derive="clothes")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"derive": "night"}, "derive"),
        ({"derive": "mlr", "group_by": {"by": "resolution", "below": 9}}, "names its cameras"),
        ({"derive": "clothes", "group_by": {"by": "camera", "cameras": [1]}}, "leave out group_by"),
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
