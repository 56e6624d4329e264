"""`itkm ablate` from the corpus to the table, and again."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from itkm_core.corpus.schema import narrow
from itkm_core.errors import ConfigError
from itkm_core.storage.place import Place
from pipelines.ablate.adopt import adopt_steps
from pipelines.ablate.command import Study, open_study, report, run_study
from pipelines.artifacts.run_folder import RunFolder
from pipelines.console import Console
from pipelines.run.command import rounds_of, start_run


def study_of(itkm: Any, out: Path, rows: str, *overrides: str) -> Study:
    words = itkm.run(out, *overrides)[5:]
    return open_study(str(itkm.corpus), "tiny", words, out=str(out), seeds="0", rows=rows)


def stopped(study: Study, whole: Path) -> Path:
    """The full method's run, as if it had been stopped in the training of Stage III."""
    config = study.config(("full", 0))
    corpus = narrow(study.corpus, config.only)
    run = start_run(study.place(("full", 0)), config, corpus)
    adopt_steps(run, config, corpus, rounds_of(config, corpus), [RunFolder(Place.at(whole))])
    folder = study.out / "runs/full/seed-0"
    path = Path(folder.resolve()[1])
    for step in ("round-002/train", "final"):
        shutil.rmtree(path / step, ignore_errors=True)
    return path


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_two_rows_become_a_table_and_are_not_run_again(
    itkm: Any, whole: Path, tmp_path: Path, local_ray: None
) -> None:
    out, text = tmp_path / "out", io.StringIO()
    console = Console(file=text, width=200)
    study = study_of(itkm, out, "ihm,full")
    full = stopped(study, whole)
    kept = len(list(full.rglob("manifest.json")))
    assert len(study.waiting()) == 2
    run_study(study, console, at_once=1)
    report(study, console, plot=True)

    assert "run 2 of 2  full, seed 0: done in" in text.getvalue()
    result: dict[str, Any] = json.loads((out / "ablation.json").read_text())
    # A run serves two rows: the last part that is added is DRU.
    assert [row["name"] for row in result["rows"]] == ["ihm", "full", "without-dru"]
    for row in result["rows"]:
        assert [run["status"] for run in row["runs"]] == ["done"]
        for metric in ("mean_ap", "rank_1", "match_accuracy"):
            assert 0 <= row["scores"][metric]["average"]["mean"] <= 1
    assert {path.suffix for path in out.glob("ablation.*")} == {".json", ".md", ".png", ".svg"}
    logs = {name: (out / f"runs/{name}/seed-0.log").read_text() for name in ("ihm", "full")}
    assert "matched" in logs["ihm"]
    # What comes before the first match is the same in both rows, and computed once.
    shared = kept - 3  # two matches, and what they score
    assert logs["ihm"].startswith(f"{shared} steps copied from other rows")
    assert logs["ihm"].count("reused") == shared
    assert logs["full"].startswith("0 steps copied from other rows")
    assert logs["full"].count("reused") == kept

    # The same again has nothing to run, and needs no Ray; another row's table has what there is.
    again = study_of(itkm, out, "ihm,full")
    assert not again.waiting()
    assert again.scores == study.scores
    wider = study_of(itkm, out, "baseline")
    assert [job.name for job in wider.waiting()] == ["baseline"]
    report(wider, console, plot=False)
    names = [row["name"] for row in json.loads((out / "ablation.json").read_text())["rows"]]
    assert names == ["baseline", "ihm", "full", "without-dru"]

    # Without its last file a run is not finished, and goes on.
    (full / "pseudo_labels.parquet").unlink()
    broken = study_of(itkm, out, "full")
    assert len(broken.waiting()) == 1
    run_study(broken, console)
    assert not broken.waiting()

    with pytest.raises(ConfigError, match=r"labels\.eps: 0\.5 there, 0\.4 now"):
        study_of(itkm, out, "full", "labels.eps=0.4")
