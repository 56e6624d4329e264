"""The benchmark of sizes: its features are what it says, and its command runs at a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import labelling_scale

    return labelling_scale


def test_people_are_told_apart_by_their_features(scale):
    rows, person = scale.people(3_000)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.bincount(person).mean() == pytest.approx(16, abs=0.1)
    nearest = (rows[:300] @ rows.T - 2 * np.eye(300, 3_000)).argmax(axis=1)
    assert (person[nearest] == person[:300]).mean() > 0.95


def test_growth_is_the_exponent_of_the_rest(scale):
    def row(images, seconds):
        steps = {step: {"processor_seconds": seconds} for step in scale.STEPS}
        return {"kind": "people", "backend": "ivf", "images": images, "steps": steps}

    rows = [row(12_936, 5), row(100_000, 1), row(300_000, 4), row(1_000_000, 100)]
    assert scale.growth_of_the_rest(rows) == pytest.approx(2)
    assert scale.growth_of_the_rest(rows[:2]) is None


def test_its_command_runs(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "labelling_scale.py"), "--sizes", "2000"]
    command += ["--untrained", "0", "--threads", "1", "--json", str(tmp_path / "r.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    exact, approximate = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert exact["ari"] > 0.95
    assert approximate["ari_against_exact"] > 0.95
    assert approximate["recall"] >= 0.99
    assert exact["peak_bytes"] > 50e6
