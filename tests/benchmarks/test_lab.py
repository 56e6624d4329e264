"""The lab's rounds, on a few people and steps: they run, resume from what is kept, and log what came out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_corpus import one_source

from benchmarks.lab import experiment
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.write import write_people

SMALL = [
    "homogeneous_rounds=1",
    "heterogeneous_rounds=1",
    "homogeneous.steps_per_round=2",
    "homogeneous.clusters_per_group=4",
    "homogeneous.precision=fp32",
    "prompts.steps=2",
    "prompts.clusters_per_group=4",
]


def test_an_experiment_logs_its_scores_and_the_next_begins_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = SyntheticConfig(people_train=8, people_test=2, images=4, scenarios=("uvi", "ucr"))
    write_people(people, tmp_path / "people")
    one_source(tmp_path / "corpus", kind="synthetic", path=str(tmp_path / "people"))
    words = ["x", str(tmp_path / "corpus"), "tried", *SMALL, "--variant", "Unified"]
    words += ["--more", "uvi/0:gain=0.2", "--log", str(tmp_path / "log"), "--keep", str(tmp_path)]
    for _ in range(2):
        monkeypatch.setattr("sys.argv", words)
        experiment.main()
    assert len(list(tmp_path.glob("*.pt"))) == 2  # Stage I, and the prompts
    first, again = (json.loads(line) for line in (tmp_path / "log").read_text().splitlines())
    assert first["scores"] == again["scores"]
    assert set(first["scores"]) == {"uvi", "ucr", "mean"}
    assert all(0 < score <= 100 for score in first["scores"].values())
    assert (first["name"], first["variant"], first["more"]) == (
        "tried",
        "Unified",
        ["uvi/0:gain=0.2"],
    )
    assert set(first["matches"]) == {"uvi", "ucr"}
