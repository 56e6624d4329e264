"""The stages' benchmark on a small world: every step runs, and what it prints is what it measured."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import stages

    return stages


def test_growth_is_the_exponent(stages):
    assert stages.growth([10, 20, 40], [3.0, 0.1, 48.0]) == pytest.approx(2)
    assert stages.growth([10, 40], [5.0, 5.0]) == 0
    assert math.isnan(stages.growth([10], [5.0]))
    assert math.isnan(stages.growth([10, 20], [0.0, 5.0]))


def test_a_world_is_imperfect_and_sane(stages, tmp_path):
    world = stages.make_world(tmp_path / "world", 1000)
    person = (np.arange(1000) / 12.5).astype(np.int64)
    for side in (0, 1):
        labels, rows = (np.load(world / f"{name}-{side}.npy") for name in ("labels", "features"))
        assert np.array_equal(np.unique(labels[labels >= 0]), np.arange(80))
        assert 0.04 < np.mean(labels < 0) < 0.12
        assert 0.01 < np.mean(labels[labels >= 0] != person[labels >= 0]) < 0.09
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_every_step_runs(stages, tmp_path):
    world = stages.make_world(tmp_path / "world", 400)
    for stage in stages.STAGES.values():
        step = stage.make(world)
        step(0)
        step(1)
    assert stages.quality(world, 400)["ari"] > 0.5


def test_the_search_is_timed_and_given_back(stages, tmp_path):
    world = stages.make_world(tmp_path / "world", 1000)
    for name in ("label", "chm-sparse", "ihm"):
        stage, total = stages.STAGES[name], [0.0]
        step = stage.make(world)
        with stages._timed(stage.search, total):
            step(0)
        assert total[0] > 0, f"{stage.search} is not what {name} searches with"
        counted = total[0]
        step(0)
        assert total[0] == counted


def test_each_measurement_has_a_process_of_its_own(tmp_path):
    out = tmp_path / "stages.json"
    command = [sys.executable, str(BENCHMARKS / "stages.py"), "--sizes", "400", "200"]
    command += ["--stages", "dru", "chm", "--repeats", "2", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(out.read_text())
    assert "CHM" in done.stdout
    assert list(result["stages"]) == ["dru", "chm"]
    for name, turns in result["stages"].items():
        assert [turn["images"] for turn in turns] == [200, 400]
        for turn in turns:
            assert len(turn["seconds"]) == len(turn["wall_seconds"]) == 2
            assert 0 < turn["above_mb"] < turn["peak_mb"]
        assert set(result["growth"][name]) == {"seconds", "seconds_outside_search", "memory"}


def test_stage_three_needs_the_matchings(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "stages.py"), "--stages", "train-3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "add them to --stages" in done.stderr
