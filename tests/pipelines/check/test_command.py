"""`itkm check` but for Ray, whose tasks run here one after the other."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import encoded
from made_corpus import one_source, write_pictures
from tracked_corpus import write_corpus

from itkm_core.corpus import writer
from itkm_core.corpus.checks.issues import ISSUES_SCHEMA, KINDS
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, StorageError
from pipelines.check import tasks
from pipelines.check.command import run_check
from pipelines.console import Console
from pipelines.faults import unwrapped

NUM = 30


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    def mapped(tables: list[pa.Table], step: Any) -> Iterator[pa.Table]:
        with unwrapped():  # Ray Data keeps no order
            yield from (step(table) for table in reversed(tables))

    monkeypatch.setattr(tasks, "mapped", mapped)
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 7)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Noise; picture 20, of the test, is training picture 3, and camera 5 has picture 8 alone."""
    rng = np.random.default_rng(0)
    images = [encoded(rng.integers(0, 256, (64, 32, 3), np.uint8)) for _ in range(NUM)]
    images[20] = images[3]
    return write_corpus(
        tmp_path / "corpus",
        images=images,
        split=["train" if n < 15 else "gallery" for n in range(NUM)],
        camera=[5 if n == 8 else 1 for n in range(NUM)],
        person=[n % 15 + 1 if n in (2, 17) else -1 for n in range(NUM)],
        height=[64] * NUM,
        width=[32] * NUM,
    )


def run(corpus: Corpus, out: Path | None = None) -> tuple[pa.Table, list[str]]:
    console = Console(file=io.StringIO(), width=100)
    found = run_check(corpus.root, None if out is None else str(out), console, nullcontext)
    return found, [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_what_is_found_is_printed_and_written_and_the_corpus_stays_as_it_is(
    corpus: Corpus, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in Path(corpus.root).rglob("*") if path.is_file()}
    found, lines = run(corpus, tmp_path / "out")
    assert [(row["kind"], row["sample_id"], row["other"]) for row in found.to_pylist()] == [
        ("leak", 20, 3),
        ("person_in_both_splits", 17, 2),
        ("lone_camera", 8, -1),
    ]
    assert pq.read_table(tmp_path / "out/issues.parquet").equals(found)
    assert found.schema == ISSUES_SCHEMA
    assert before == {
        path: path.read_bytes() for path in Path(corpus.root).rglob("*") if path.is_file()
    }
    assert any(
        line.startswith("│ leak │ 1 │ 20 │ 20.png │ the same bytes, 3 3.png") for line in lines
    )
    assert f"leak {KINDS['leak']}" in lines
    clean = [kind for kind in KINDS if kind not in found["kind"].to_pylist()]
    assert f"none found {', '.join(clean)}" in lines
    assert lines[-1] == f"issues {tmp_path / 'out/issues.parquet'}"
    again, _ = run(corpus, tmp_path / "out")  # over its own
    assert again.equals(found)


def test_without_out_nothing_is_written(corpus: Corpus, tmp_path: Path) -> None:
    there = sorted(tmp_path.rglob("*"))
    _, lines = run(corpus)
    assert sorted(tmp_path.rglob("*")) == there
    assert not any(line.startswith("issues /") for line in lines)


def test_a_corpus_without_identities_says_what_is_not_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [encoded(rng.integers(0, 256, (64, 32, 3), np.uint8)) for _ in range(8)]
    found, lines = run(
        write_corpus(tmp_path / "c", images=images, height=[64] * 8, width=[32] * 8, camera=[1] * 8)
    )
    assert not found.num_rows
    assert "not known person_in_both_splits: the corpus has no identities" in lines
    (clean,) = [line for line in lines if line.startswith("none found")]
    assert "person_in_both_splits" not in clean


@pytest.mark.parametrize("inside", ["", "checked", "a/b"])
def test_nothing_is_written_into_the_corpus(corpus: Corpus, inside: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(corpus.root)
    for root in (Path(corpus.root), tmp_path / "link"):
        with pytest.raises(StorageError, match=r"is in the corpus .* give another folder"):
            run(corpus, root / inside)
    run(corpus, Path(f"{corpus.root}-checked"))


def test_somebody_elses_folder_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(StorageError, match=r"holds 'notes.txt', which `itkm check` did not write"):
        run(corpus, tmp_path / "mine")


def test_a_damaged_corpus_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no corpus at .*/nowhere"):
        run_check(str(tmp_path / "nowhere"), None, Console(file=io.StringIO()), nullcontext)
    no_pictures = write_corpus(tmp_path / "other", camera=[1, 2])
    with pytest.raises(CorpusError, match=r"cannot decode '\d.png' in the shard .*ingest it again"):
        run(no_pictures)
    (shard,) = corpus.shard_paths()
    damaged = Path(shard).read_bytes()
    Path(shard).write_bytes(b"PAR1" + bytes(2000) + damaged[2004:])
    for read, said in (
        (lambda: run(corpus), "cannot read shards/part-00000.parquet"),
        (lambda: tasks.look_at_all(corpus, lambda done, all: None), "cannot read the shard"),
    ):
        with pytest.raises(CorpusError, match=said) as error:
            read()
        assert "\n" not in str(error.value)


def test_a_picture_seen_in_other_clothes_is_no_copy_of_itself(tmp_path: Path) -> None:
    names = [f"{split}/{number}.png" for split in ("train", "query") for number in range(3)]
    root = write_pictures(tmp_path / "p", names)
    source = {"kind": "folder", "path": str(root), "pattern": "{split}/{name}", "scenario": "s"}
    plain = one_source(tmp_path / "plain", **source)
    derived = one_source(tmp_path / "derived", **source, derive="clothes")
    assert derived.num_images == plain.num_images + 3
    kinds = [run(corpus)[0]["kind"].to_pylist() for corpus in (plain, derived)]
    assert kinds[0] == kinds[1]
    assert "duplicate" not in kinds[1]
