"""The whole method by one training worker and by two, and a loss that is not finite."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from itkm_core.clustering import agreement
from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.storage.place import Place
from pipelines.ablate.adopt import adopt_steps
from pipelines.artifacts.run_folder import RunFolder
from pipelines.config import load_config
from pipelines.run.command import rounds_of, start_run

STAGES = ("round-001/train", "round-002/prompts", "round-002/train")


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_two_workers_end_where_one_does(
    itkm: Any, whole: Path, tmp_path: Path, facts: Callable[[Path, str], dict[str, Any]]
) -> None:
    # The first features and labels come before any training.
    two = tmp_path / "two"
    shutil.copytree(whole / "round-001", two / "round-001", ignore=shutil.ignore_patterns("train"))
    shutil.copytree(whole / "round-002" / "frozen", two / "round-002" / "frozen")
    shutil.copy(whole / "config.yaml", two)
    itkm.ok(*itkm.run(two, "compute.num_workers=2"))
    for step in STAGES:
        one_worker, two_workers = facts(whole, step), facts(two, step)
        assert (one_worker["workers"], two_workers["workers"]) == (1, 2)
        for name in ("first_loss", "loss"):
            assert two_workers[name] == pytest.approx(one_worker[name], rel=1e-2), (step, name)
        for name, value in one_worker["term_losses"].items():
            found = two_workers["term_losses"][name]
            assert found == pytest.approx(value, rel=1e-2, abs=1e-3), (step, name)
    tables = [pq.read_table(run / "pseudo_labels.parquet") for run in (whole, two)]
    assert tables[0]["sample_id"] == tables[1]["sample_id"]
    for scenario in ("ucc", "uvi"):
        for group in (0, 1):
            labels = [
                [
                    row["label"]
                    for row in table.to_pylist()
                    if (row["scenario"], row["group"]) == (scenario, group)
                ]
                for table in tables
            ]
            assert agreement(*labels) > 0.95, (scenario, group)


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_a_loss_that_is_not_finite_ends_the_run_and_names_step_and_checkpoint(
    itkm: Any, whole: Path, tmp_path: Path
) -> None:
    # Nothing before Stage III reads its learning rate: the steps before it are those of the whole run.
    broken = ["heterogeneous.lr=1e30", "compute.checkpoint_every=1"]
    command = itkm.run(tmp_path / "run", *broken)
    adopt(whole, tmp_path / "run", itkm.corpus, command[5:])
    done = itkm.done(*command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "at step" in done.stderr
    assert "of round 2" in done.stderr
    assert "The last good checkpoint is " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    path = done.stderr.split("The last good checkpoint is ")[1].split(".\n")[0].strip()
    assert (Path(path) / "state.json").exists()


def adopt(whole: Path, out: Path, corpus_path: Path, overrides: list[str]) -> None:
    """Start a run at `out` with all steps that it has in common with the whole one."""
    config = load_config("tiny", overrides)
    corpus = narrow(Corpus.open(corpus_path), config.only)
    run = start_run(Place.at(out), config, corpus)
    rounds = rounds_of(config, corpus)
    adopt_steps(run, config, corpus, rounds, [RunFolder(Place.at(whole))])
