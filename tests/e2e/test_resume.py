"""A driver that is killed, and the same command again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The first checkpoint of Stage II. test_jobs.py ends a run by SIGTERM in a training of Stage III, test_nodes.py
# loses machines. The steps that are Ray tasks have no checkpoint: they start over.
MOMENT = "round-002/prompts/ray_train/*/checkpoint_*"


@pytest.mark.ray
@pytest.mark.timeout(1800)
def test_a_killed_driver_goes_on_and_ends_with_the_same_labels(
    itkm: Any,
    first_round: Callable[[Path], None],
    whole: Path,
    tmp_path: Path,
    labels_of: Callable[[Path], Any],
) -> None:
    broken = tmp_path / "broken"
    first_round(broken)
    # All but the step that is cut off. What comes after it is reused only if that step ends with the same prompts to
    # the last bit; else the run would do it again.
    ignored = shutil.ignore_patterns("prompts")
    shutil.copytree(whole / "round-002", broken / "round-002", ignore=ignored)
    shutil.copytree(whole / "final", broken / "final")
    itkm.killed(broken, MOMENT)
    assert not (broken / "pseudo_labels.parquet").exists()
    output = itkm.ok(*itkm.run(broken))

    assert output.count("reused") == len(list(broken.rglob("manifest.json"))) - 1
    assert labels_of(broken) == labels_of(whole)
    again = itkm.ok(*itkm.run(broken))
    assert again.count("reused") == len(list(broken.rglob("manifest.json")))
    refused = itkm.done(*itkm.run(broken, "labels.eps=0.4"))
    assert refused.returncode == 2
    assert "labels.eps: 0.5 there, 0.4 now" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--corpus", "nowhere", "--out", "out"], "no corpus at"),
        (["run", "--corpus", "nowhere", "--out", "out", "labels.epz=1"], "labels.epz"),
        (["evaluate", "nowhere"], "no run at"),
        (["ingest", "--as", "folder", "nowhere", "--out", "out"], "nowhere"),
        (["config", "--recipe", "nope"], "no recipe"),
        (["run", "--out", "out"], "--corpus"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, itkm: Any
) -> None:
    done = itkm.done(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_a_scenario_that_is_not_there_is_one_line(itkm: Any, tmp_path: Path) -> None:
    done = itkm.done("dag", "--corpus", str(itkm.corpus), "only=[night]")
    assert done.returncode == 2
    assert "only names night" in done.stderr
    assert "ucc, ucr, uvi" in done.stderr
