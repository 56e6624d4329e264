"""A corpus.json from elsewhere cannot name what is not below the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError


def changed(corpus: Corpus, change) -> str:
    path = Path(corpus.root) / "corpus.json"
    record: dict[str, Any] = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return corpus.root


@pytest.mark.parametrize(
    "path",
    [
        "../elsewhere.parquet",
        "/etc/passwd",
        "shards/../../x.parquet",
        "..",
        "",
        ".",
        "a\\b",
        "s3://b/x",
        "a\0b",
    ],
)
def test_a_shard_out_of_the_corpus(write_corpus, path: str) -> None:
    corpus, _ = write_corpus()

    def change(record: dict[str, Any]) -> None:
        record["shards"][0]["path"] = path

    with pytest.raises(CorpusError, match=r"corpus\.json .* is damaged: shard .*below the corpus"):
        Corpus.open(changed(corpus, change))


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/b", "a\\b", "a\0b", "a\n"])
def test_a_scenario_that_is_no_name_of_a_folder(write_corpus, name: str) -> None:
    corpus, _ = write_corpus()

    def change(record: dict[str, Any]) -> None:
        record["counts"][0]["scenario"] = name

    with pytest.raises(CorpusError, match=r"damaged: scenario .*expected letters, digits"):
        Corpus.open(changed(corpus, change))


@pytest.mark.parametrize(
    ("derived", "said"),
    [
        ({"scenario": "../x", "group": 1, "by": "clothes"}, "derived is of scenario"),
        ({"scenario": "s", "group": 2, "by": "clothes"}, "derived is of scenario"),
        ({"scenario": "s", "group": 1, "by": "night"}, "by 'night', expected 'clothes'"),
        ({"scenario": "s", "group": 1}, "'by'"),
        ("clothes", "ingest it again"),
    ],
)
def test_a_derived_group_is_one_that_is_known_how_to_load(write_corpus, derived, said: str) -> None:
    corpus, _ = write_corpus()

    def change(record: dict[str, Any]) -> None:
        record["derived"] = [derived]

    with pytest.raises(CorpusError, match=rf"corpus\.json .* is damaged.*{said}"):
        Corpus.open(changed(corpus, change))


@pytest.mark.parametrize("digest", ["../../home", "", "/tmp/x", "xyz", 7])
def test_a_digest_names_a_folder_of_the_cache(write_corpus, digest: Any) -> None:
    corpus, _ = write_corpus()
    with pytest.raises(CorpusError, match="is damaged"):
        Corpus.open(changed(corpus, lambda record: record.update(digest=digest)))


@pytest.mark.parametrize("name", ["num_images", "digest", "counts", "shards", "has_identities"])
def test_what_is_missing_or_of_another_kind_is_one_clear_line(write_corpus, name: str) -> None:
    corpus, _ = write_corpus()
    root = changed(corpus, lambda record: record.update({name: None}))
    with pytest.raises(CorpusError, match=r"is damaged: .*; ingest it again"):
        Corpus.open(root)
    changed(corpus, lambda record: record.pop(name))
    with pytest.raises(CorpusError, match=f"is damaged: has no '{name}'"):
        Corpus.open(root)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("num_images",), 22),
        (("num_images",), True),
        (("num_images",), 23.0),
        (("num_images",), -1),
        (("has_identities",), 1),
        (("counts", 0, "num_images"), "1"),
        (("counts", 0, "num_images"), 2**63),
        (("counts", 0, "group"), True),
        (("counts", 0, "group"), 0.0),
        (("shards", 0, "num_rows"), 3.5),
        (("shards", 0, "num_rows"), None),
        (("shards", 1, "num_rows"), 0),
        (("counts", 0), {}),
        (("shards",), [5]),
    ],
)
def test_numbers_are_numbers_and_agree(write_corpus, path, value: Any) -> None:
    corpus, _ = write_corpus()

    def change(record: dict[str, Any]) -> None:
        *above, last = path
        for key in above:
            record = record[key]
        record[last] = value

    with pytest.raises(CorpusError, match=r"is damaged: .*; ingest it again"):
        Corpus.open(changed(corpus, change))


def test_a_record_of_many_brackets(write_corpus) -> None:
    corpus, _ = write_corpus()
    (Path(corpus.root) / "corpus.json").write_text("[" * 200_000)
    with pytest.raises(CorpusError, match="is not JSON"):
        Corpus.open(corpus.root)


def test_names_that_only_look_odd_are_fine(write_corpus) -> None:
    corpus, _ = write_corpus()

    def change(record: dict[str, Any]) -> None:
        for row in record["counts"]:
            row["scenario"] = "Nähe v1.2 - b_c"

    assert Corpus.open(changed(corpus, change)).scenarios == ("Nähe v1.2 - b_c",)
