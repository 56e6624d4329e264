from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from itkm_core.corpus import store as store_module
from itkm_core.corpus import writer
from itkm_core.corpus.images import decode_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.store import CorpusStore
from itkm_core.errors import CorpusError, StorageError


def read_all(root: str, cache: str) -> list[bytes]:
    store = CorpusStore(Corpus.open(root), cache)
    return [bytes(image) for image in store.images(np.arange(len(store)))]


def naive(corpus: Corpus, ids) -> list[bytes]:
    """The slow twin: every shard from its beginning."""
    found = {}
    for path in corpus.shard_paths():
        for row in pq.read_table(path, columns=["sample_id", "image"]).to_pylist():
            found[row["sample_id"]] = row["image"]
    return [found[int(sample_id)] for sample_id in ids]


@pytest.mark.parametrize("group_rows", [2, 1000])
def test_pictures_come_in_the_order_of_the_ids(
    write_corpus, tmp_path, monkeypatch, group_rows
) -> None:
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", group_rows)
    corpus, images = write_corpus()
    store = CorpusStore(corpus, tmp_path / "cache")
    ids = np.random.default_rng(1).integers(0, corpus.num_images, 200)
    found = [bytes(image) for image in store.images(ids)]
    assert found == naive(corpus, ids) == [images[i] for i in ids]
    assert store.images([]) == []
    assert decode_image(store.images([3])[0], (7, 6)).shape == (7, 6, 3)


def test_views_are_read_only_and_not_copies(write_corpus, tmp_path: Path) -> None:
    corpus, _ = write_corpus()
    store = CorpusStore(corpus, tmp_path)
    one, again = store.images([4, 4])
    assert one.readonly
    assert np.shares_memory(np.frombuffer(one, np.uint8), np.frombuffer(again, np.uint8))


@pytest.mark.parametrize("wrong", [-1, 23])
def test_an_id_outside_is_refused(write_corpus, tmp_path: Path, wrong: int) -> None:
    corpus, _ = write_corpus()
    with pytest.raises(CorpusError, match=rf"sample_id {wrong} is not in .* has 0\.\.22"):
        CorpusStore(corpus, tmp_path).images([0, wrong])


def test_only_the_shards_that_are_asked_for_are_copied(write_corpus, tmp_path: Path) -> None:
    corpus, _ = write_corpus()
    store = CorpusStore(corpus, tmp_path)
    store.images([0])
    assert [p.name for p in (tmp_path / corpus.digest).glob("*.arrow")] == ["part-00000.arrow"]
    store.images(range(len(store)))
    copies = sorted((tmp_path / corpus.digest).glob("*.arrow"))
    assert len(copies) == len(corpus.shards)


def test_a_copy_is_made_once(write_corpus, tmp_path: Path) -> None:
    corpus, images = write_corpus()
    CorpusStore(corpus, tmp_path).images(range(23))
    for path in corpus.shard_paths():
        Path(path).unlink()
    store = CorpusStore(corpus, tmp_path)
    assert [bytes(i) for i in store.images(range(23))] == images


def test_half_written_copies_are_not_used(write_corpus, tmp_path: Path) -> None:
    corpus, images = write_corpus()
    CorpusStore(corpus, tmp_path).images(range(23))
    copy = tmp_path / corpus.digest / "part-00001.arrow"
    whole = copy.read_bytes()
    for damaged in (b"", whole[:10], whole[: len(whole) // 2], whole[:-1]):
        copy.unlink()
        copy.write_bytes(damaged)
        with pytest.warns(UserWarning, match="is damaged and is copied again"):
            found = CorpusStore(corpus, tmp_path).images(range(23))
        assert [bytes(image) for image in found] == images
        assert copy.read_bytes() == whole


def test_a_failed_copy_leaves_nothing_behind(write_corpus, tmp_path: Path, monkeypatch) -> None:
    corpus, _ = write_corpus()

    def no_room(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "replace", no_room)
        with pytest.raises(StorageError, match=r"No space left.*point ITKM_CACHE at a disk"):
            CorpusStore(corpus, tmp_path).images([0])
    assert {p.suffix for p in (tmp_path / corpus.digest).iterdir()} <= {".lock"}


def test_a_shard_that_is_not_what_corpus_json_says_is_refused(write_corpus, tmp_path) -> None:
    corpus, _ = write_corpus()
    first, second = (Path(path) for path in corpus.shard_paths()[:2])
    table = pq.read_table(first)
    pq.write_table(table.slice(1), first)
    with pytest.raises(CorpusError, match=r"holds \d+ rows, corpus.json says"):
        CorpusStore(corpus, tmp_path).images([0])
    second.write_bytes(b"not parquet")
    with pytest.raises(CorpusError, match="cannot read shard"):
        CorpusStore(corpus, tmp_path).images([corpus.shard_rows[0]])
    second.unlink()
    with pytest.raises(CorpusError, match="cannot read shard"):
        CorpusStore(corpus, tmp_path).images([corpus.shard_rows[0]])


def test_many_builders_at_once(write_corpus, tmp_path: Path) -> None:
    corpus, images = write_corpus()
    cache = str(tmp_path / "cache")
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(read_all, [corpus.root] * 6, [cache] * 6))
    assert results == [images] * 6
    names = {p.suffix for p in (Path(cache) / corpus.digest).iterdir()}
    assert names == {".arrow", ".lock"}
    store = CorpusStore(corpus, tmp_path / "threads")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: bytes(store.images([i])[0]), range(23)))
    assert found == images


def test_a_store_can_be_sent_to_another_process(write_corpus, tmp_path: Path) -> None:
    corpus, images = write_corpus()
    store = CorpusStore(corpus, tmp_path)
    store.images(range(23))
    sent = pickle.loads(pickle.dumps(store))
    assert bytes(sent.images([9])[0]) == images[9]


def test_the_cache_goes_where_the_environment_says(write_corpus, tmp_path, monkeypatch) -> None:
    corpus, _ = write_corpus()
    monkeypatch.setenv("ITKM_CACHE", str(tmp_path / "env"))
    CorpusStore(corpus).images([0])
    assert (tmp_path / "env" / corpus.digest).is_dir()
    monkeypatch.delenv("ITKM_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert CorpusStore(corpus).cache_dir == str(tmp_path / "home" / ".cache" / "itkm")
