"""Files that would run code where anything unpickled them: each is refused with an error of ours, and nothing runs."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from itkm_core.errors import FeatureError, ItkmError, ModelError, StorageError
from itkm_core.model.clip import load_clip
from itkm_core.model.weights import load_encoder
from itkm_core.storage.place import Place
from pipelines.console import Console
from pipelines.label.command import LabelRequest, label
from pipelines.label.index import read_group, read_index
from pipelines.label.input import read_input
from pipelines.training import prompts_worker, round_worker
from pipelines.training.checkpoints import read_state


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.fixture
def attack(tmp_path: Path) -> Any:
    """An object whose unpickling leaves a file; after the test it must not be there."""
    trace = tmp_path / "executed"
    yield Attack(trace)
    assert not trace.exists()


def zipped(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": value}, file)
    return file.getvalue()


def before_zip(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": value}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def bare(value: Any) -> bytes:
    return pickle.dumps(value, protocol=2)


FORMS: list[Callable[[Any], bytes]] = [zipped, before_zip, bare]


def test_the_attack_works_where_nothing_stops_it(tmp_path: Path) -> None:
    """Or the tests below would show nothing."""
    for number, form in enumerate(FORMS):
        trace = tmp_path / f"executed-{number}"
        data = form(Attack(trace))
        if form is bare:
            pickle.loads(data)
        else:
            torch.load(io.BytesIO(data), weights_only=False)
        assert trace.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("form", FORMS)
def test_weights(attack: Attack, tmp_path: Path, form, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(form(attack))
    with pytest.raises(ModelError, match="cannot be read"):
        load_clip("itkm-tiny", str(path))


def test_weights_where_torch_is_told_to_unpickle(
    attack: Attack, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(zipped(attack))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(ModelError, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set"):
        load_clip("itkm-tiny", str(path))


@pytest.mark.parametrize("form", FORMS)
def test_an_encoder(attack: Attack, form) -> None:
    with pytest.raises(ModelError, match="not an image encoder"):
        load_encoder(form(attack))


@pytest.mark.parametrize("name", ["training.pt", "prompts.pt"])
@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_a_training(attack: Attack, tmp_path: Path, form, name: str) -> None:
    (tmp_path / name).write_bytes(form(attack))

    @contextmanager
    def folder():
        yield str(tmp_path)

    checkpoint = SimpleNamespace(path="runs/mine/round-001", as_directory=folder)
    stage: Any = SimpleNamespace()
    worker = round_worker if name == "training.pt" else prompts_worker
    with pytest.raises(StorageError, match=f"runs/mine/round-001/{name} is damaged, or holds more"):
        worker.resume_step(stage, checkpoint)


def test_a_state_of_tensors_and_plain_values_is_read() -> None:
    file = io.BytesIO()
    torch.save({"steps": 3, "moments": [torch.arange(3)]}, file)
    state = read_state(file.getvalue(), "training.pt")
    assert state["steps"] == 3
    assert state["moments"][0].tolist() == [0, 1, 2]
    with pytest.raises(StorageError, match=r"training\.pt is damaged"):
        read_state(file.getvalue()[:100], "training.pt")


def test_features_of_objects(attack: Attack, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[attack]], object), allow_pickle=True)
    with pytest.raises(FeatureError, match="not an array of plain numbers"):
        read_input(str(tmp_path / "a.npy"), None, normalise=False)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(attack))
    with pytest.raises(FeatureError, match="not a NumPy file"):
        read_input(str(tmp_path / "b.npy"), None, normalise=False)


def test_features_of_a_pickled_type(attack: Attack, tmp_path: Path) -> None:
    """Older pyarrow unpickled the type of a column that calls itself so; now it is the plain type below it."""
    lists = pa.FixedSizeListArray.from_arrays(np.eye(4, dtype=np.float32).reshape(-1), 4)
    field = pa.field(
        "feature",
        lists.type,
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(attack),
        },
    )
    schema = pa.schema([pa.field("sample_id", pa.int64()), field])
    path = tmp_path / "features.parquet"
    pq.write_table(pa.table([pa.array(range(4)), lists], schema=schema), path)
    np.testing.assert_array_equal(read_input(str(path), None, normalise=False).features, np.eye(4))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """An index of `itkm label`."""
    rows = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    out = tmp_path / "labels"
    given = {"features": str(tmp_path / "rows.npy"), "normalise": True}
    small = ("labels.k1=8", "labels.k2=2", "labels.min_samples=2")
    label(LabelRequest(str(out), overrides=small, **given), Console(file=io.StringIO()))
    return out


@pytest.mark.parametrize("name", ["rows.npy", "neighbours.npy", "cameras.npz"])
def test_an_index_of_labels(attack: Attack, labelled: Path, name: str) -> None:
    (folder,) = (path for path in (labelled / "index").iterdir() if path.is_dir())
    objects = np.array([attack], object)
    if name.endswith(".npz"):
        np.savez(folder / name, cameras=objects)
        with zipfile.ZipFile(folder / name) as archive:
            assert archive.namelist() == ["cameras.npy"]
    else:
        np.save(folder / name, objects, allow_pickle=True)
    index = read_index(str(labelled))
    (group,) = index.groups.values()
    with pytest.raises(StorageError, match="damaged"):
        read_group(index.place, group)


@pytest.mark.parametrize("folder", ["..", "../../elsewhere", "/etc", "", "a\\b"])
def test_an_index_that_names_folders_of_others(labelled: Path, folder: str) -> None:
    path = labelled / "index" / "index.json"
    record = json.loads(path.read_text())
    for group in record["groups"].values():
        group["folder"] = folder
    path.write_text(json.dumps(record))
    with pytest.raises(StorageError, match="is not in the index"):
        read_index(str(labelled))


def test_arrays_of_a_run(attack: Attack, tmp_path: Path) -> None:
    objects = np.array([attack], object)
    np.save(tmp_path / "centroids.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "instances-0.npz", rows=objects)
    with pytest.raises(
        StorageError, match=r"centroids\.npy is damaged, or does not hold only numbers"
    ):
        Place.at(tmp_path / "centroids.npy").read_array()
    with pytest.raises(
        StorageError, match=r"instances-0\.npz is damaged, or does not hold only numbers"
    ):
        Place.at(tmp_path / "instances-0.npz").read_arrays()


def test_a_configuration_of_objects(tmp_path: Path) -> None:
    from pipelines.config import load_config
    from pipelines.ingest.config import load_ingest_config

    path = tmp_path / "c.yaml"
    call = "!!python/object/apply:pathlib.Path"
    path.write_text(f"seed: {call}.touch [{call} ['{tmp_path}/executed']]\n")
    for load in (lambda: load_config(str(path)), lambda: load_ingest_config(path)):
        with pytest.raises(ItkmError, match="python/object"):
            load()
    with pytest.raises(ItkmError, match="is not YAML"):
        load_config("tiny", [f"seed=!!python/object/apply:os.system ['touch {tmp_path}/executed']"])
    assert not (tmp_path / "executed").exists()
