from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from itkm_core.corpus import writer
from itkm_core.corpus.schema import CORPUS_SCHEMA
from itkm_core.corpus.writer import plan_shards


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 80))
def test_shards_cover_all_rows_in_order_and_keep_their_bound(sizes, bound) -> None:
    shards = plan_shards(np.array(sizes, dtype=np.int64), bound)
    rows = [row for start, stop in shards for row in range(start, stop)]
    assert rows == list(range(len(sizes)))
    for start, stop in shards:
        assert stop - start == 1 or sum(sizes[start:stop]) <= bound
    for (start, stop), (_, end) in pairwise(shards):
        assert end > stop
        assert sum(sizes[start : stop + 1]) > bound  # none could have been larger


def test_a_new_shard_never_renumbers_an_old_one() -> None:
    sizes = np.random.default_rng(0).integers(1, 50, 100)
    before, after = plan_shards(sizes[:60], 200), plan_shards(sizes, 200)
    assert after[: len(before) - 1] == before[:-1]


def test_shards_have_the_schema_and_the_bytes(write_corpus, monkeypatch) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 3)
    corpus, images = write_corpus()
    found: list[bytes] = []
    for path in corpus.shard_paths():
        table = pq.read_table(path)
        assert table.schema.equals(CORPUS_SCHEMA)
        assert table["sample_id"].to_pylist() == list(range(len(found), len(found) + len(table)))
        found += table["image"].to_pylist()
        metadata = pq.read_metadata(path)
        assert max(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)) <= 3
    assert found == images


def test_the_digest_is_of_the_content(write_corpus) -> None:
    first, _ = write_corpus()
    again, _ = write_corpus(name="again")
    other, _ = write_corpus(22, name="other")
    anonymous, _ = write_corpus(people=False, name="anonymous")
    reshaped, _ = write_corpus(shard_bytes=4000, name="reshaped")
    assert first.digest == again.digest
    # What a decoder says changes with its version.
    assert write_corpus(name="said", said="broken")[0].digest == first.digest
    # A node's copies are named by the digest, so the shards are part of it.
    assert len({c.digest for c in (first, other, anonymous, reshaped)}) == 4


def test_corpus_json_is_written_last(write_corpus, monkeypatch, tmp_path: Path) -> None:
    names: list[str] = []
    real = writer.write_bytes
    monkeypatch.setattr(
        writer, "write_bytes", lambda p, d: (names.append(Path(p).name), real(p, d))
    )
    write_corpus()
    assert names == ["identities.parquet", "rejected.parquet", "corpus.json"]
