"""What Ray's dashboard and metrics ports tell of a small run, done in two jobs, that has ended this moment."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.error import URLError

from pipelines.telemetry.gauges import GAUGES

Ask = Callable[[str], Any]  # the JSON at a path of the dashboard

BLOCKS = ("ucc/0", "ucc/1", "uvi/0", "uvi/1")
TASKS = {f"label[{block}]" for block in BLOCKS} | {"match[ucc]", "match[uvi]", "evaluate"}
DATASETS = {"round-002 extract", "round-002 frozen", "final extract"}
OF_TRACKLETS = {"itkm_merge_errors", "itkm_split_errors"}  # which this run's corpus has not
JOBS = {"round-002-prompts-stage-2", "round-002-train-stage-3"}


def metrics_now(ask: Ask) -> str:
    """What the ports that Ray tells Prometheus of serve. Of a process that has ended they have it for 20 seconds.

    Ray may tell of one that nobody listens to any more, or not yet, which Prometheus asks again.
    """
    (group,) = ask("/api/prometheus/sd")
    text = ""
    for target in group["targets"]:
        page = f"http://{target}/metrics"
        with suppress(URLError), urllib.request.urlopen(page, timeout=60) as answer:
            text += answer.read().decode()
    return text


def check_metrics(text: str) -> None:
    """Every gauge of the run is there, with its help and its tags."""
    for name, (words, tags) in GAUGES.items():
        if name in OF_TRACKLETS:
            assert name not in text
            continue
        assert f"# HELP ray_{name} {words}\n" in text
        series = re.findall(rf"^ray_{name}{{(.*)}} \S+$", text, re.M)
        assert series, name
        assert all(f'{tag}="' in each for each in series for tag in tags), series


def check_names(ask: Ask, jobs: list[str]) -> None:
    """Tasks, actors, datasets and training jobs are named as docs/monitoring.md says. jobs: their numbers in Ray."""
    tasks = {each["name"] for each in _state(ask, "tasks")}
    assert tasks >= TASKS
    assert tasks >= {"MapBatches(read_shards)", "MapWorker(MapBatches(Extractor)).submit"}
    assert not {name for name in tasks if name.startswith("Board.")}
    assert {each["name"] for each in _state(ask, "actors") if each["class_name"] == "Board"} == {
        "itkm-progress"
    }
    datasets = [each for job in jobs for each in ask(f"/api/data/datasets/{job}")["datasets"]]
    names = {re.sub(r"_[^_]+_\d+$", "", each["dataset"]) for each in datasets}
    assert {name for name in names if not name.startswith("dataset")} == DATASETS
    workers = {
        (each["name"], worker["world_rank"])
        for each in ask("/api/train/v2/runs/v1")["train_runs"]
        for attempt in each["attempts"]
        for worker in attempt["workers"]
    }
    assert workers == {(name, 0) for name in JOBS}


def _state(ask: Ask, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(f"/api/v0/{kind}?limit=10000")["data"]["result"]["result"]
    return found
