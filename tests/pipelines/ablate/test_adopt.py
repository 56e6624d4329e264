"""Steps of equal inputs are copied between runs, all others are left to be done."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from itkm_core.storage.place import Place
from pipelines.ablate.adopt import adopt_steps
from pipelines.artifacts.run_folder import Manifest, RunFolder, digest_of
from pipelines.config import RunConfig, load_config
from pipelines.run.dag import Kind, Round, plan_rounds
from pipelines.run.inputs import step_inputs

CORPUS: Any = SimpleNamespace(digest="corpus")
GROUPS = [("uvi", 0), ("uvi", 1)]
BASE = ["homogeneous_rounds=2", "heterogeneous_rounds=2"]


def of(*overrides: str) -> tuple[RunConfig, list[Round]]:
    config = load_config("tiny", [*BASE, *overrides])
    rounds = plan_rounds(
        GROUPS,
        config.homogeneous_rounds,
        config.heterogeneous_rounds,
        text=config.needs_text,
        matching=config.needs_matches,
        frozen=config.compares_frozen,
    )
    return config, rounds


def run_all(run: RunFolder, config: RunConfig, rounds: list[Round]) -> None:
    """Do every step that is not done: its output, named by its inputs, is a file in a folder of its folder."""
    done: dict[str, Manifest] = {}
    for each in rounds:
        for step in each.steps:
            inputs = step_inputs(config, CORPUS, each, step, done)
            made = run.finished(step.name, inputs)
            if made is None:
                digest = digest_of(inputs)
                (run.step(step.name) / "deep" / "output").write_bytes(digest.encode())
                (run.step(step.name) / "ray_train" / "checkpoint").write_bytes(b"large")
                made = run.finish(step.name, inputs=inputs, digest=digest, facts={}, started=0)
            done[step.name] = made


@pytest.fixture
def donor(tmp_path: Path) -> RunFolder:
    run = RunFolder(Place.at(tmp_path / "donor"))
    run_all(run, *of())
    return run


@pytest.mark.parametrize(
    ("overrides", "shared"),
    [
        ([], {*Kind}),
        (["components.ihm=false"], {Kind.EXTRACT, Kind.LABEL, Kind.FROZEN, Kind.PROMPTS}),
        (["matching.quantile=0.3"], {Kind.EXTRACT, Kind.LABEL, Kind.FROZEN, Kind.PROMPTS}),
        (["components.separation_loss=false"], {Kind.EXTRACT, Kind.LABEL, Kind.FROZEN}),
        (["prompts.steps=7"], {Kind.EXTRACT, Kind.LABEL, Kind.FROZEN}),
    ],
)
def test_rows_share_what_comes_before_their_difference(
    overrides: list[str], shared: set[Kind], donor: RunFolder, tmp_path: Path
) -> None:
    config, rounds = of(*overrides)
    run = RunFolder(Place.at(tmp_path / "run"))
    adopted = adopt_steps(run, config, CORPUS, rounds, [donor])
    first, second, third = rounds[:3]
    # All of Stage I, and in the first round of Stage III what needs no match.
    expected = [step.name for each in (first, second) for step in each.steps]
    expected += [step.name for step in third.steps if step.kind in shared]
    if not overrides:
        expected = [step.name for each in rounds for step in each.steps]
    assert adopted == expected
    for name in adopted:
        assert not (run.step(name) / "ray_train").exists()
        path = run.step(name) / "deep" / "output"
        assert path.read_bytes() == (donor.step(name) / "deep" / "output").read_bytes()
        assert run.read(name) == donor.read(name)
    # The run goes on from there, and has nothing more to take.
    run_all(run, config, rounds)
    assert adopt_steps(run, config, CORPUS, rounds, [donor]) == []


@pytest.mark.parametrize(
    "override",
    ["seed=1", "labels.eps=0.4", "homogeneous.lr=1e-4", "homogeneous_rounds=3",
     "components.scenario_embedding=false", "model.scenario_scale=2", "without_camera=false",
     "augmentation.flip=0.25", "evaluate_every_round=false", "extract_precision=fp32"],
)  # fmt: skip
def test_what_stage_i_reads_is_shared_by_no_step(
    override: str, donor: RunFolder, tmp_path: Path
) -> None:
    config, rounds = of(override)
    assert not adopt_steps(RunFolder(Place.at(tmp_path)), config, CORPUS, rounds, [donor])


def test_a_step_half_done_is_replaced_and_a_donor_that_is_not_done_is_passed_over(
    donor: RunFolder, tmp_path: Path
) -> None:
    config, rounds = of()
    half = RunFolder(Place.at(tmp_path / "half"))
    (half.step("round-001/extract") / "features" / "stale").write_bytes(b"")
    run = RunFolder(Place.at(tmp_path / "run"))
    (run.step("round-001/extract") / "features" / "stale").write_bytes(b"")
    assert "round-001/extract" in adopt_steps(run, config, CORPUS, rounds, [half, donor])
    assert not (run.step("round-001/extract") / "features" / "stale").exists()
