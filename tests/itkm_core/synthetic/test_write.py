"""The written corpus: files, manifest, reuse, refusal, interruption."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from itkm_core.corpus.schema import LISTING_SCHEMA, SPLITS, TRACK_COLUMNS, with_track_columns
from itkm_core.errors import CorpusError, StorageError
from itkm_core.synthetic import write as synthetic
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.record import RECORD_FILE
from itkm_core.synthetic.sample import iter_samples
from itkm_core.synthetic.write import MANIFEST_FILE, write_people

SMALL = SyntheticConfig(people_train=2, people_test=2, images=3, seed=3)


def digest(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people") / "new"
    result = write_people(SMALL, root)
    assert not result.reused
    assert result.num_images == 3 * 4 * 2 * 3
    return root


def test_every_picture_is_in_the_manifest_and_in_its_place(written: Path) -> None:
    table = pq.read_table(written / MANIFEST_FILE)
    listed = [name for name in LISTING_SCHEMA.names if name not in TRACK_COLUMNS]
    assert table.schema.names == [*listed, "caption"]
    assert with_track_columns(table).select(LISTING_SCHEMA.names).schema.equals(LISTING_SCHEMA)
    rows = table.to_pylist()
    uris = [row["uri"] for row in rows]
    assert uris == sorted(uris)
    files = {name for name in digest(written) if name.endswith((".png", ".jpg"))}
    assert set(uris) == files
    assert len(uris) == len(files) == 72
    for row in rows:
        scenario, split, group, camera, name = row["uri"].split("/")
        assert (scenario, split, int(group)) == (row["scenario"], row["split"], row["group"])
        assert camera == f"c{row['camera']}"
        assert name.startswith(f"p{row['person']:05d}_")
        assert split in SPLITS
        low = scenario == "ucr" and group == "1"
        assert name.endswith(".jpg" if low else ".png")


def test_a_file_is_its_sample(written: Path) -> None:
    for sample in iter_samples(SMALL):
        data = (written / sample.uri).read_bytes()
        assert data == sample.encoded()
        with Image.open(io.BytesIO(data)) as file:
            pixels = np.asarray(file.convert("RGB"))
        assert pixels.shape == sample.image.shape
        if sample.jpeg_quality is None:
            assert np.array_equal(pixels, sample.image)


def test_the_same_parameters_are_reused_and_give_the_same_bytes(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    other = tmp_path / "other"
    write_people(SMALL, other, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (72, 72)
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    assert digest(other) == digest(written)

    def never(_: SyntheticConfig) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(synthetic, "iter_samples", never)
    assert write_people(SMALL, other).reused


def test_other_parameters_are_refused_with_the_difference(written: Path) -> None:
    before = digest(written)
    with pytest.raises(CorpusError, match=r"seed: there 3, wanted 4"):
        write_people(SMALL.model_copy(update={"seed": 4}), written)
    with pytest.raises(CorpusError, match=r"noise: there 0.025, wanted 0.5") as error:
        write_people(SMALL.model_copy(update={"noise": 0.5}), written)
    assert "seed" not in str(error.value)
    assert digest(written) == before


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = SyntheticConfig(people_train=1, people_test=0, images=1)
    write_people(one, tmp_path / "a")
    monkeypatch.setattr(synthetic, "SYNTHETIC_VERSION", 999)
    with pytest.raises(CorpusError, match="version: there 1, wanted 999"):
        write_people(one, tmp_path / "a")


def test_an_interrupted_folder_is_finished_by_the_same_parameters_only(
    written: Path, tmp_path: Path
) -> None:
    root = tmp_path / "broken"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_people(SMALL, root, progress=stop)
    assert not (root / RECORD_FILE).exists()
    assert any(root.rglob("*.png"))
    with pytest.raises(CorpusError, match="images: there 3, wanted 5"):
        write_people(SMALL.model_copy(update={"images": 5}), root)
    assert not write_people(SMALL, root).reused
    assert digest(root) == digest(written)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear reader")
    with pytest.raises(CorpusError, match="not empty"):
        write_people(SMALL, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(CorpusError, match="is a file"):
        write_people(SMALL, tmp_path / "thesis.tex")


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(CorpusError, match=RECORD_FILE):
        write_people(SMALL, tmp_path)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_people(SMALL, tmp_path / "file" / "below")


def test_the_record_says_what_was_drawn(written: Path) -> None:
    record = json.loads((written / RECORD_FILE).read_text())
    parameters = record["parameters"]
    assert SyntheticConfig(**parameters) == SMALL
