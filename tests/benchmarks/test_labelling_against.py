"""The benchmark of arrivals: what it measures is what it says, and its command runs at a small size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def against(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import labelling_against

    return labelling_against


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_as_many_arrive_as_asked_and_the_share_is_of_unseen_people(against, share):
    person = np.random.default_rng(0).integers(0, 100, 1_600)
    order = against.arrange(person, 200, share)
    assert sorted(order.tolist()) == list(range(1_600))
    unseen = ~np.isin(person[order[-200:]], person[order[:-200]])
    assert unseen.sum() == pytest.approx(200 * share, abs=20)


def test_same_is_the_cluster_with_most_of_the_relabelled_images(against):
    relabelled = np.array([5, 5, 5, 5, 2, 2, 2, -1, 5, 2, -1, -1, 7])
    labels = np.array([0, 0, 0, 1, 1, 1, -1, -1, 1, 1, -1, 0, 3])
    # The last five: 1 for 0, 1 for 1, outlier for outlier, 0 for outlier, 3 for 3.
    assert against.same_cluster(labels, relabelled, 5) == pytest.approx(3 / 5)
    assert against.same_cluster(relabelled, relabelled, 5) == 1


def test_the_command_runs(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "labelling_against.py")]
    command += [
        "--old",
        "600",
        "--new",
        "100",
        "--repeats",
        "1",
        "--json",
        str(tmp_path / "r.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert list(rows) == ["known people", "half", "new people", "in 10 parts"]
    for row in rows.values():
        assert 0.3 < row["ami"] <= 1
        assert row["cost"] > 0
    assert "known people" in done.stdout
