from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from itkm_core.errors import CorpusError, StorageError
from pipelines.ingest import place as ingest_place
from pipelines.ingest.place import UNFINISHED_FILE, CorpusPlace


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def fail(place: CorpusPlace, error: type[BaseException]) -> None:
    with place.all_or_nothing() as root:
        Path(root, "rejected.parquet").write_text("x")
        raise error


def test_a_place_is_complete_or_marked_as_unfinished(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    with CorpusPlace.locked(out) as place:
        assert place.existing() is None
        with place.all_or_nothing() as root:
            assert Path(root).parent == out  # on the disk of the place, which may be a mount point
            Path(root, "corpus.json").write_text("x")
            assert names(out) == {UNFINISHED_FILE, Path(root).name}
            assert place.existing() is None
        assert names(out) == {"corpus.json"}
    assert names(tmp_path) == {"corpus"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_nothing_is_left(tmp_path: Path, error) -> None:
    with CorpusPlace.locked(tmp_path / "corpus") as place:
        with pytest.raises(error):
            fail(place, error)
        assert names(tmp_path) == set()


@pytest.mark.parametrize("local", [True, False])
def test_what_a_killed_ingest_left_is_cleared(tmp_path: Path, monkeypatch, local: bool) -> None:
    monkeypatch.setattr(ingest_place, "is_local", lambda _: local)
    left = tmp_path / "corpus" / ".0123abcd.partial" / "shards"
    left.mkdir(parents=True)
    (left / "part-00009.parquet").write_text("half")
    (tmp_path / "corpus" / "shards").mkdir()  # renamed before the end
    place = CorpusPlace(str(tmp_path / "corpus"))
    with pytest.raises(CorpusError, match=r"it holds '\.0123abcd\.partial'"):
        place.existing()  # nothing says whose it is
    (tmp_path / "corpus" / UNFINISHED_FILE).write_text("{}")
    (tmp_path / "corpus" / "mine.txt").write_text("x")
    with pytest.raises(CorpusError, match=r"it holds 'mine\.txt'"):
        place.existing()
    (tmp_path / "corpus" / "mine.txt").unlink()
    assert place.existing() is None
    with place.all_or_nothing() as root:
        assert names(Path(root)) <= {UNFINISHED_FILE}
    assert names(tmp_path / "corpus") == set()


def test_an_empty_folder_is_taken_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real" / "lost+found").mkdir(parents=True)  # as a disk of its own has
    (tmp_path / "link").symlink_to("real")
    with CorpusPlace.locked(tmp_path / "link") as place:
        assert place.existing() is None
        with place.all_or_nothing() as root:
            Path(root, "file").write_text("x")
    assert names(tmp_path / "real") == {"file", "lost+found"}


def test_a_place_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with (
        CorpusPlace.locked(tmp_path) as place,
        pytest.raises(CorpusError, match=r"it holds 'mine\.txt'"),
    ):
        place.existing()
    with (
        CorpusPlace.locked(tmp_path / "mine.txt") as place,
        pytest.raises(CorpusError, match="is a file"),
    ):
        place.existing()
    assert names(tmp_path) == {"mine.txt"}


def test_one_ingest_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    (tmp_path / "same").symlink_to(out)
    with (
        CorpusPlace.locked(out),
        CorpusPlace.locked(tmp_path / "other"),
        pytest.raises(CorpusError, match="another ingest is writing"),
        CorpusPlace.locked(tmp_path / "same"),
    ):
        pass
    with CorpusPlace.locked(out):
        pass


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        CorpusPlace.locked(tmp_path / "file" / "corpus") as place,
        pytest.raises(StorageError, match="check that it is writable"),
        place.all_or_nothing(),
    ):
        pass
    with pytest.raises(StorageError, match="check that it is writable"):
        place.try_writing()


def test_a_trial_leaves_nothing_but_what_was_there(tmp_path: Path) -> None:
    CorpusPlace(str(tmp_path / "corpus")).try_writing()
    assert names(tmp_path) == set()
    (tmp_path / "corpus").mkdir()
    CorpusPlace(str(tmp_path / "corpus")).try_writing()
    assert names(tmp_path / "corpus") == set()


def test_a_shard_nobody_here_can_see_is_noticed(tmp_path: Path) -> None:
    place = CorpusPlace(str(tmp_path))
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "part-00000.parquet").write_text("x")
    place.check_shards(str(tmp_path), 1)
    with pytest.raises(StorageError, match="shard 1 was written to another node's disk"):
        place.check_shards(str(tmp_path), 2)


def test_an_object_store_is_written_in_place(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ingest_place, "is_local", lambda _: False)
    place = CorpusPlace(str(tmp_path))
    with place.all_or_nothing() as root:
        assert root == str(tmp_path)
        (tmp_path / "shards").mkdir()
        assert place.existing() is None
    assert names(tmp_path) == {"shards"}
    with pytest.raises(CorpusError, match="is not a corpus, and not empty"):
        place.existing()
    (tmp_path / "shards").rmdir()
    with pytest.raises(ValueError):  # noqa: PT011
        fail(place, ValueError)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("error", [None, ValueError])
def test_scratch_is_inside_the_place_and_gone_at_the_end(tmp_path: Path, error) -> None:
    out = tmp_path / "corpus"
    with CorpusPlace.locked(out) as place:
        with (
            pytest.raises(ValueError, match=r"^$") if error else nullcontext(),
            place.scratch() as scratch,
        ):
            assert Path(scratch).parent == out
            Path(scratch, "pack-00000").write_text("x")
            assert place.existing() is None  # what a killed ingest leaves does not stop the next
            if error:
                raise error
            with place.all_or_nothing(scratch) as root:
                assert Path(scratch, "pack-00000").exists()
                Path(root, "corpus.json").write_text("x")
        assert out.exists() != bool(error)
    if not error:
        assert names(out) == {"corpus.json"}
        assert place.root == str(out)


def test_an_error_while_writing_leaves_no_scratch(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    out.mkdir()  # a place of the user's own, such as a mount point
    with CorpusPlace.locked(out) as place:
        with (
            pytest.raises(KeyboardInterrupt),
            place.scratch() as scratch,
            place.all_or_nothing(scratch),
        ):
            raise KeyboardInterrupt
        assert names(out) == set()
