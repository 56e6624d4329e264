"""`itkm label` on features made elsewhere; test_corpus.py has the corpus."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import people

from itkm_core.clustering import pseudo_label
from itkm_core.errors import ConfigError, FeatureError, ItkmError, LabelError, StorageError
from itkm_core.storage import paths
from itkm_core.storage.place import Place
from pipelines.console import Console
from pipelines.label.command import LabelRequest, label, last_checkpoint, sweep_values

SMALL = ("labels.k1=8", "labels.k2=2", "labels.min_samples=2")


@pytest.fixture
def itkm_label(tmp_path: Path) -> Callable[..., str]:
    """itkm_label(rows, *overrides, **request) -> what was printed; the output is in tmp_path/out."""

    def run(rows: np.ndarray | None, *overrides: str, **request: Any) -> str:
        printed = io.StringIO()
        if rows is not None:
            np.save(tmp_path / "rows.npy", rows)
            request["features"] = str(tmp_path / "rows.npy")
        out = request.pop("out", str(tmp_path / "out"))
        made = LabelRequest(out, overrides=overrides, **request)
        label(made, Console(file=printed, width=100))
        return printed.getvalue()

    return run


def read(out: Path) -> pa.Table:
    return pq.read_table(out / "pseudo_labels.parquet")


def test_labels_are_those_of_the_library(itkm_label: Callable[..., str], tmp_path: Path) -> None:
    rows, ids = people(), np.random.default_rng(1).permutation(240) + 10**12
    np.save(tmp_path / "ids.npy", ids)
    said = itkm_label(rows, *SMALL, "labels.eps=0.5", ids=str(tmp_path / "ids.npy"))
    found = pseudo_label(rows, k1=8, k2=2, min_samples=2, eps=0.5, sample_ids=ids)
    table = read(tmp_path / "out")
    assert table.column_names == ["sample_id", "label", "is_core", "confidence"]
    assert table["sample_id"].to_pylist() == ids.tolist()
    assert table["label"].to_pylist() == found.labels.tolist()
    assert table["is_core"].to_pylist() == found.is_core.tolist()
    np.testing.assert_array_equal(table["confidence"].to_numpy(), found.confidence)
    parameters = json.loads((tmp_path / "out" / "parameters.json").read_text())
    assert parameters["groups"]["features"] == found.parameters
    assert f"{found.num_clusters}" in said
    assert "warning" not in said


def test_without_a_recipe_the_methods_defaults_are_used(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    itkm_label(people())
    parameters = json.loads((tmp_path / "out" / "parameters.json").read_text())
    found = parameters["groups"]["features"]
    assert [found[k] for k in ("k1", "k2", "eps", "min_samples")] == [30, 6, 0.6, 4]


def test_a_chosen_eps_comes_with_its_sweep_and_its_reason(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    rows = people(noise=1.0)
    said = itkm_label(rows, *SMALL, "labels.eps=auto", "labels.eps_candidates=[0.4,0.5,0.6]")
    parameters = json.loads((tmp_path / "out" / "parameters.json").read_text())
    found = parameters["groups"]["features"]
    assert found["eps"] in (0.4, 0.5, 0.6)
    assert found["eps_asked"] == "auto"
    assert [point["eps"] for point in found["sweep"]["points"]] == [0.4, 0.5, 0.6]
    assert found["eps_reason"] in said.replace("\n", " ")
    assert "(auto)" in said
    labels = pseudo_label(rows, k1=8, k2=2, min_samples=2, eps=found["eps"]).labels
    assert read(tmp_path / "out")["label"].to_pylist() == labels.tolist()
    sweep = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert sweep["groups"]["features"] == found["sweep"]


def test_a_sweep_writes_no_labels_unless_eps_is_auto(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    said = itkm_label(people(), *SMALL, sweep="eps=0.4:0.6:0.1")
    assert "chosen" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "itkm.json",
        "sweep.json",
    ]
    record = json.loads((tmp_path / "out" / "sweep.json").read_text())["groups"]["features"]
    assert [point["eps"] for point in record["points"]] == [0.4, 0.5, 0.6]
    assert record["choice"]["eps"] in record["choice"]["plateau"]
    itkm_label(people(), *SMALL, "labels.eps=auto", sweep="eps=0.35,0.45")
    parameters = json.loads((tmp_path / "out" / "parameters.json").read_text())
    assert parameters["groups"]["features"]["eps"] in (0.35, 0.45)


def test_each_group_is_labelled_apart(itkm_label: Callable[..., str], tmp_path: Path) -> None:
    rows = people(10)
    table = pa.table(
        {
            "sample_id": np.arange(80),
            "feature": rows.tolist(),
            "scenario": ["uvi", "ucc"] * 40,
            "group": pa.array([0, 0, 1, 1] * 20, pa.int8()),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    said = itkm_label(None, *SMALL, features=str(tmp_path / "rows.parquet"))
    found = read(tmp_path / "out")
    assert found["sample_id"].to_pylist() == list(range(80))
    assert found.schema.field("group").type == pa.int8()
    for at, name in enumerate(("uvi/0", "ucc/0", "uvi/1", "ucc/1")):
        assert name in said
        mine = np.arange(at, 80, 4)
        alone = pseudo_label(rows[mine], k1=8, k2=2, min_samples=2, sample_ids=mine)
        np.testing.assert_array_equal(found["label"].to_numpy()[mine], alone.labels)
        assert found["scenario"].to_pylist()[at] == name[:3]


@pytest.mark.parametrize(
    ("rows", "min_samples", "clusters", "said"),
    [
        (people()[:1], 4, 0, "all images are outliers"),
        (people(1, 12), 4, 1, "more than half"),
        (np.repeat(people()[:1], 200, 0), 4, 1, "more than half"),
        (np.repeat(people()[:1], 5000, 0), 4, 1, "more than half"),
        (people(), 1000, 0, "all images are outliers"),
    ],
)
def test_labels_that_could_not_be_learnt_from_are_an_answer(
    itkm_label: Callable[..., str],
    tmp_path: Path,
    rows: np.ndarray,
    min_samples: int,
    clusters: int,
    said: str,
) -> None:
    need = f"labels.min_samples={min_samples}"
    assert said in itkm_label(rows, need, "labels.eps=0.7")
    labels = read(tmp_path / "out")["label"].to_numpy()
    np.testing.assert_array_equal(labels, np.full(len(rows), clusters - 1))
    with pytest.raises(LabelError, match="no eps gives labels"):
        itkm_label(rows, need, "labels.eps=auto", "labels.eps_candidates=[0.6,0.7]")


def test_what_cannot_be_asked_is_one_clear_error(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    wrong: list[tuple[type[ItkmError], str, tuple[str, ...], dict[str, Any]]] = [
        (ConfigError, "--checkpoint goes with", (), dict(checkpoint="x")),
        (ConfigError, "one of --features and --corpus", (), dict(corpus="x")),
        (ConfigError, "only labels", ("seed=1",), {}),
        (ConfigError, "labels.k2", ("labels.k2=0",), {}),
        (ConfigError, "START:STOP:STEP", (), dict(sweep="0.4:0.7:0.1")),
        (StorageError, "is the folder of a run", (), dict(out=str(tmp_path / "run"))),
        (StorageError, "cannot write", (), dict(out=str(tmp_path / "file" / "below"))),
    ]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("{}")
    (tmp_path / "file").write_text("no folder")
    for kind, said, overrides, request in wrong:
        with pytest.raises(kind, match=said):
            itkm_label(people(), *overrides, **request)
    with pytest.raises(FeatureError, match="no row"):
        itkm_label(people()[:0])
    with pytest.raises(ConfigError, match="one of --features and --corpus"):
        itkm_label(None)
    with pytest.raises(ConfigError, match="go with --features"):
        itkm_label(None, corpus="x", normalise=True)
    with pytest.raises(StorageError, match="expected a run's folder"):
        itkm_label(None, corpus="x", checkpoint=str(tmp_path / "file"))


def test_a_full_disk_is_one_clear_error(
    itkm_label: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, mode: str) -> Any:
        if ".parquet" in path:
            raise OSError(28, "No space left on device")
        return open(path, mode)

    monkeypatch.setattr(paths, "open", full, raising=False)
    with pytest.raises(StorageError, match=r"No space left.*has room"):
        itkm_label(people())


def test_a_folder_of_the_users_is_left_as_it_is(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "mine" / "index").mkdir(parents=True)
    for name in ("index/image.faiss", "pseudo_labels.parquet", "index/index.json"):
        (tmp_path / "mine" / name).write_text("{}")
    with pytest.raises(StorageError, match="holds 'index', which `itkm label` did not write"):
        itkm_label(people(), *SMALL, out=str(tmp_path / "mine"))
    left = [path for path in (tmp_path / "mine").rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == [
        "image.faiss",
        "index.json",
        "pseudo_labels.parquet",
    ]
    assert {path.read_text() for path in left} == {"{}"}
    with pytest.raises(StorageError, match="a path is empty"):
        itkm_label(people(), *SMALL, out="")


def test_labels_made_again_leave_what_they_did_not_write(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    itkm_label(people(), *SMALL)
    out = tmp_path / "out"
    (group,) = (path for path in (out / "index").iterdir() if path.is_dir())
    strangers = [out / "notes.txt", out / "index" / "notes.txt", group / "notes.txt"]
    for path in strangers:
        path.write_text("mine")
    (out / "itkm.json").unlink()  # as before output folders were marked
    itkm_label(people(seed=1), *SMALL)
    assert [path.read_text() for path in strangers] == ["mine"] * 3


def test_scenarios_that_the_features_have_not_are_refused(
    itkm_label: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"labels\.scenarios names uvi; expected none"):
        itkm_label(people(), *SMALL, "labels.scenarios.uvi.eps=0.4")
    assert not (tmp_path / "out" / "pseudo_labels.parquet").exists()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("eps=0.4:0.7:0.1", (0.4, 0.5, 0.6, 0.7)),
        ("eps=0.5:0.5:0.1", (0.5,)),
        ("eps=0.3,0.35", (0.3, 0.35)),
        ("eps=0.3", (0.3,)),
    ],
)
def test_sweeps_that_are_understood(text: str, values: tuple[float, ...]) -> None:
    assert sweep_values(text) == values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("k1=10:20:5", "expected eps="),
        ("eps", "expected eps="),
        ("eps=", "expected eps="),
        ("eps=0.4:0.7", "expected eps="),
        ("eps=a:b:c", "expected eps="),
        ("eps=0.7:0.4:0.1", "rising range"),
        ("eps=0.4:0.7:0", "step above 0"),
        ("eps=0.4:0.7:nan", "step above 0"),
        ("eps=0.4:0.7:1e-6", "at most 100"),
        ("eps=0.5:1.5:0.5", "eps is 1.0"),
        ("eps=0.6,0.5", "rising order"),
    ],
)
def test_sweeps_that_make_no_sense(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"--sweep {text}.*{said}"):
        sweep_values(text)


def test_the_last_checkpoint_is_that_of_the_last_finished_round(tmp_path: Path) -> None:
    run = Place.at(tmp_path)
    with pytest.raises(StorageError, match="no round"):
        last_checkpoint(run)
    for name in ("round-001", "round-002"):
        (run / name / "train" / "manifest.json").write_json({})
    (run / "round-003" / "train" / "checkpoint" / "model.safetensors").write_bytes(b"unfinished")
    (run / "round-003" / "label" / "uvi-0" / "manifest.json").write_json({})
    assert last_checkpoint(run) == run / "round-002" / "train" / "checkpoint"
