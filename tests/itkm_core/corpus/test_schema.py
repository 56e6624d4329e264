from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.corpus.schema import (
    CORPUS_SCHEMA,
    IDENTITY_SCHEMA,
    INDEX_COLUMNS,
    TRACKS_FILE,
    TRACKS_SCHEMA,
    Corpus,
    with_track_columns,
    without_unknown_tracks,
)
from itkm_core.errors import CorpusError


def test_a_corpus_says_what_is_in_it(write_corpus) -> None:
    corpus, images = write_corpus()
    assert corpus.num_images == len(images) == 23
    assert corpus.scenarios == ("a", "b")
    index = corpus.index().to_pylist()
    for key, count in corpus.counts.items():
        rows = [r for r in index if (r["scenario"], r["group"], r["split"]) == key]
        assert len(rows) == count > 0
    assert sum(corpus.counts.values()) == 23
    assert corpus.groups() == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert corpus.groups("gallery") == []
    assert len(corpus.shards) == 3
    assert sum(corpus.shard_rows) == 23
    assert [pq.read_metadata(path).num_rows for path in corpus.shard_paths()] == corpus.shard_rows
    assert corpus.record["parameters"] == {"seed": 1}
    assert corpus.record["num_rejected"] == {"empty": 1}


def test_the_index_is_every_column_but_the_picture_in_the_order_of_ids(write_corpus) -> None:
    corpus, _ = write_corpus()
    index = corpus.index()
    assert tuple(index.column_names) == INDEX_COLUMNS
    assert index["sample_id"].to_pylist() == list(range(23))
    assert index["uri"].to_pylist() == [f"{i:03d}.png" for i in range(23)]
    assert index.schema == CORPUS_SCHEMA.remove(CORPUS_SCHEMA.get_field_index("image"))
    assert corpus.index(["height"]).column_names == ["height"]
    with pytest.raises(CorpusError, match="no column 'image'"):
        corpus.index(["image"])


def test_shards_hold_no_identities(write_corpus) -> None:
    corpus, _ = write_corpus()
    for path in corpus.shard_paths():
        assert pq.read_schema(path).names == CORPUS_SCHEMA.names
    people = corpus.identities()
    assert people.schema == IDENTITY_SCHEMA
    assert people["person"].to_pylist() == [i // 2 for i in range(23)]


def test_without_people_there_is_no_identities_file(write_corpus) -> None:
    corpus, _ = write_corpus(people=False)
    assert corpus.identities() is None
    assert not (Path(corpus.root) / "identities.parquet").exists()


def test_rejected_pictures_are_kept_with_their_reason(write_corpus) -> None:
    corpus, _ = write_corpus()
    row = {"uri": "x.png", "scenario": "a", "reason": "empty", "detail": ""}
    assert corpus.rejected().to_pylist() == [row]


def test_a_corpus_from_before_details_were_kept_is_read(write_corpus) -> None:
    corpus, _ = write_corpus(said="a decoder's word")
    path = Path(corpus.root) / "rejected.parquet"
    assert corpus.rejected()["detail"].to_pylist() == ["a decoder's word"]
    pq.write_table(pq.read_table(path).drop_columns("detail"), path)
    assert corpus.rejected()["detail"].to_pylist() == [""]
    pq.write_table(pq.read_table(path).drop_columns("reason"), path)
    with pytest.raises(CorpusError, match=r"rejected\.parquet .* is damaged"):
        corpus.rejected()


def test_what_is_no_corpus_is_one_clear_line(write_corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus at .*corpus\.json is not there"):
        Corpus.open(tmp_path / "nothing")
    corpus, _ = write_corpus()
    record = Path(corpus.root) / "corpus.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "schema_version": 99}))
    with pytest.raises(CorpusError, match="schema version 99, this itkm reads 1 and 2"):
        Corpus.open(corpus.root)
    record.write_text("{")
    with pytest.raises(CorpusError, match="is not JSON"):
        Corpus.open(corpus.root)
    record.write_text("[]")
    with pytest.raises(CorpusError, match="schema version None"):
        Corpus.open(corpus.root)


def test_a_lost_or_swapped_shard_is_noticed(write_corpus) -> None:
    corpus, _ = write_corpus()
    first, second = (Path(path) for path in corpus.shard_paths()[:2])
    first.rename(first.with_suffix(".away"))
    with pytest.raises(CorpusError, match="it is not there"):
        corpus.index()
    first.write_bytes(second.read_bytes())
    with pytest.raises(CorpusError, match=r"do not hold the sample ids 0\.\.22"):
        corpus.index()


def test_a_corpus_opens_by_relative_path_and_by_uri(write_corpus, tmp_path, monkeypatch) -> None:
    corpus, _ = write_corpus()
    monkeypatch.chdir(tmp_path)
    assert Corpus.open("corpus") == corpus
    by_uri = Corpus.open(f"file://{corpus.root}")
    assert by_uri.digest == corpus.digest
    assert by_uri.index().equals(corpus.index())


def test_a_corpus_of_version_1_reads_with_unknown_tracks(write_corpus) -> None:
    corpus, _ = write_corpus()
    index = corpus.index()
    for shard in corpus.shard_paths():
        pq.write_table(pq.read_table(shard).drop_columns(["tracklet", "frame"]), shard)
    record = Path(corpus.root) / "corpus.json"
    content = {**json.loads(record.read_text()), "schema_version": 1}
    del content["has_tracklets"]
    record.write_text(json.dumps(content))
    old = Corpus.open(corpus.root)
    assert not old.has_tracklets
    assert old.digest == corpus.digest
    assert old.index() == index
    assert set(old.index(["frame", "tracklet"])["tracklet"].to_pylist()) == {-1}


def test_unknown_tracks_do_not_count_in_a_digest_and_known_ones_do() -> None:
    rows = pa.table({"uri": ["a", "b"]})
    unknown = with_track_columns(rows)
    assert unknown.column_names == ["uri", "tracklet", "frame"]
    assert without_unknown_tracks(unknown) == rows == without_unknown_tracks(rows)
    one = unknown.set_column(1, "tracklet", pa.array([-1, 3], pa.int64()))
    assert without_unknown_tracks(one).column_names == ["uri", "tracklet"]


def test_where_tracklets_come_from(write_corpus) -> None:
    corpus, _ = write_corpus()
    assert corpus.tracks() is None
    row = {name: [1] for name in TRACKS_SCHEMA.names}
    texts = {name: ["x"] for name in ("scenario", "tracks", "tracks_digest", "video")}
    table = pa.table({**row, **texts, "start": [None]}, schema=TRACKS_SCHEMA)
    path = Path(corpus.root) / TRACKS_FILE
    pq.write_table(table, path)
    assert corpus.tracks() == table
    pq.write_table(table.drop_columns(["id"]), path)
    with pytest.raises(CorpusError, match=r"tracks\.parquet of the corpus at .* is damaged"):
        corpus.tracks()
