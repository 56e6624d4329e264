"""Every path that a user can say is read in one way: relative, `~`, file:// and s3://."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import people

from itkm_core.errors import ItkmError
from itkm_core.storage.place import Place
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.write import write_people
from pipelines.artifacts.run_folder import open_run
from pipelines.config import load_config
from pipelines.console import Console
from pipelines.ingest.config import load_ingest_config
from pipelines.label.command import LabelRequest, label
from pipelines.label.input import read_input
from pipelines.steps.evaluate import write_evaluation


@pytest.fixture(params=["relative", "home", "file"])
def said(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """said(name) -> how a user says the path of `name` in tmp_path, which is also the working and the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    forms = {"relative": "{}", "home": "~/{}", "file": f"file://{tmp_path}/{{}}"}
    return forms[request.param].format


def test_what_is_read(said: Callable[[str], str], tmp_path: Path) -> None:
    rows = people(20)
    np.save(tmp_path / "f.npy", rows)
    np.save(tmp_path / "ids.npy", np.arange(len(rows)) + 5)
    found = read_input(said("f.npy"), said("ids.npy"), normalise=False)
    assert found.ids.tolist() == list(range(5, len(rows) + 5))
    (tmp_path / "own.yaml").write_text("seed: 9")
    assert load_config(said("own.yaml")).seed == 9
    (tmp_path / "pictures").mkdir()
    listed = [{"kind": "folder", "path": path} for path in ("pictures", "~/b", "s3://bucket/c")]
    (tmp_path / "ingest.yaml").write_text(json.dumps({"sources": listed}))
    paths = [source.path for source in load_ingest_config(said("ingest.yaml")).sources]
    first, *others = paths
    assert Place.at(first).resolve()[1] == str(tmp_path / "pictures")
    assert others == ["~/b", "s3://bucket/c"]


def test_what_is_written(said: Callable[[str], str], tmp_path: Path) -> None:
    write_people(SyntheticConfig(people_train=1, people_test=0, images=1), said("people"))
    assert (tmp_path / "people" / "synth.json").exists()
    open_run(Place.at(said("run")), {"seed": 0}, {})
    assert (tmp_path / "run" / "config.yaml").exists()
    empty = {"retrieval": [], "labels": []}
    write_evaluation(Place.at(said("scores.json")), "final/evaluate", empty)
    write_evaluation(Place.at(said("scores.json")), "final/evaluate", empty)  # its own
    np.save(tmp_path / "f.npy", people(20))
    changes = ("labels.k1=8", "labels.k2=2")
    label(LabelRequest(said("labels"), said("f.npy"), overrides=changes), Console())
    assert (tmp_path / "labels" / "pseudo_labels.parquet").exists()
    assert not (tmp_path / "~").exists()
    assert not (tmp_path / "file:").exists()


@pytest.mark.parametrize("there", ["mine", '{"my": "figures"}', "[]"])
def test_a_file_of_the_users_is_not_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / "scores.json").write_text(there)
    with pytest.raises(ItkmError, match="is not an earlier evaluation"):
        write_evaluation(Place.at(tmp_path / "scores.json"), "final/evaluate", {})
    assert (tmp_path / "scores.json").read_text() == there
