"""Verdicts on each machine for itself, from facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.doctor.judge_machines import (
    judge_disks,
    judge_gpus,
    judge_labelling,
    judge_shared_memory,
)

GB = 10**9
H200 = {"name": "H200", "bytes": 150 * GB, "free": 149 * GB}
LIBRARIES = {"faiss": {"version": "1.12", "count": 2}, "cuml": {"version": "26.4"}}


def machine(**changes: Any) -> dict[str, Any]:
    plain = {
        "spill": {"path": "/tmp/ray", "free": 50 * GB, "total": 100 * GB, "writable": True},
        "cache": {
            "path": "/cache",
            "free": 50 * GB,
            "total": 100 * GB,
            "writable": True,
            "have": 0,
        },
        "store": {"folder": "/dev/shm", "bytes": 10 * GB, "shm": 12 * GB},
    }
    return plain | {name: plain.get(name, {}) | change for name, change in changes.items()}


def gpus(number: int, **others: Any) -> dict[str, Any]:
    return {"gpus": {"torch": {"cuda": "13.0", "devices": [H200] * number}, **LIBRARIES, **others}}


def test_where_nobody_has_a_gpu_there_is_no_line() -> None:
    assert judge_gpus({"a": 0.0}, {"a": machine()}, cuml_needed=True) is None


def test_gpus_that_everybody_sees_are_ok() -> None:
    line = judge_gpus({"a": 2.0, "b": 2.0}, {"a": gpus(2), "b": gpus(2)}, cuml_needed=True)
    assert line is not None
    assert (line.verdict, line.seen) == (
        "ok",
        "2 x H200 150.0 GB (faiss 1.12, 2 GPUs, cuML 26.4) on a, b",
    )


@pytest.mark.parametrize(
    ("there", "counted", "cuml_needed", "verdict", "seen"),
    [
        (gpus(0), 2.0, False, "fail", "Ray counts 2, torch sees 0 on b"),
        (
            gpus(0, torch={"error": "RuntimeError: no driver"}),
            2.0,
            False,
            "fail",
            "torch sees 0 (RuntimeError: no driver) on b",
        ),
        (gpus(2, torch=None), 2.0, False, "fail", "torch sees 0 (not installed) on b"),
        (gpus(8), 2.0, False, "warn", "torch sees 8, Ray counts 2 on b"),
        (
            gpus(2, cuml=None),
            2.0,
            True,
            "fail",
            "labels.dbscan=cuml, and cuML is not installed on b",
        ),
        (
            gpus(2, cuml={"error": "OSError: x"}),
            2.0,
            True,
            "fail",
            "cuML is broken: OSError: x on b",
        ),
        (
            gpus(2, cuml=None, faiss=None),
            2.0,
            False,
            "ok",
            "(faiss not installed, cuML not installed)",
        ),
        ({"gpus": {"error": "TimeoutExpired"}}, 2.0, False, "fail", "TimeoutExpired on b"),
    ],
)
def test_what_one_node_sees_otherwise_is_named(there, counted, cuml_needed, verdict, seen) -> None:
    line = judge_gpus({"a": 2.0, "b": counted}, {"a": gpus(2), "b": there}, cuml_needed=cuml_needed)
    assert line is not None
    assert line.verdict == verdict
    assert seen in line.seen


@pytest.mark.parametrize(
    ("changes", "verdict", "seen"),
    [
        (
            {},
            "ok",
            "50.0 GB free for spilled objects, 50.0 GB for the cache, of which the corpus takes 40.0 GB",
        ),
        ({"spill": {"free": 4 * GB}}, "fail", "/tmp/ray is 96% full on b"),
        ({"spill": {"free": 9 * GB}}, "warn", "9.0 GB free at /tmp/ray on b"),
        (
            {"cache": {"free": 9 * GB}},
            "fail",
            "9.0 GB free at /cache, the corpus takes 40.0 GB on b",
        ),
        ({"cache": {"free": 9 * GB, "have": 35 * GB}}, "ok", "9.0 GB for the cache"),
        ({"cache": {"writable": False}}, "fail", "/cache cannot be written on b"),
        ({"spill": {"writable": False}}, "fail", "/tmp/ray cannot be written on b"),
        (
            {"spill": {"writable": False}, "cache": {"writable": False}},
            "fail",
            "/tmp/ray cannot be written; /cache cannot be written on b",
        ),
        ({"spill": {"error": "OSError: gone"}}, "fail", "OSError: gone on b"),
        (
            {"spill": {"error": "OSError: gone"}, "cache": {"error": "ValueError: 100Gib"}},
            "fail",
            "OSError: gone; ValueError: 100Gib on b",
        ),
        # With limits of volumes: where they leave less than the disk does, they count.
        ({"cache": {"limit": 60 * GB, "taken": 15 * GB}}, "ok", "45.0 GB for the cache"),
        ({"cache": {"limit": 900 * GB, "taken": 15 * GB}}, "ok", "50.0 GB for the cache"),
        ({"spill": {"limit": 30 * GB, "taken": GB}}, "ok", "29.0 GB free for spilled objects"),
        (
            {"cache": {"limit": 45 * GB, "taken": 6 * GB}},
            "fail",
            "39.0 GB left of the volume's 45.0 GB at /cache, the corpus takes 40.0 GB on b",
        ),
        ({"cache": {"limit": 45 * GB, "taken": 41 * GB, "have": 40 * GB}}, "ok", "4.0 GB for"),
        (
            {"spill": {"limit": 30 * GB, "taken": 21 * GB}},
            "warn",
            "9.0 GB left of the volume's 30.0 GB at /tmp/ray on b",
        ),
        (
            {"spill": {"limit": 30 * GB, "taken": 31 * GB}},
            "fail",
            "31.0 GB of the volume's 30.0 GB are in use at /tmp/ray on b",
        ),
        # Of a large limit 5 % hold an object store, and yet it is as good as reached.
        (
            {"spill": {"limit": 700 * GB, "taken": 670 * GB}},
            "fail",
            "670.0 GB of the volume's 700.0 GB are in use at /tmp/ray on b",
        ),
    ],
)
def test_disks(changes, verdict, seen) -> None:
    line = judge_disks({"a": machine(), "b": machine(**changes)}, ["a", "b"], 40 * GB)
    assert line.verdict == verdict
    assert seen in line.seen


def test_a_node_that_trains_nothing_needs_no_room_for_the_corpus() -> None:
    facts = {"a": machine(), "head": machine(cache={"free": 1, "writable": False})}
    assert judge_disks(facts, ["a"], 40 * GB).verdict == "ok"


def test_a_hundred_full_disks_are_one_short_line() -> None:
    facts = {f"10.0.0.{i}": machine(cache={"free": i * 10**8}) for i in range(100)}
    line = judge_disks(facts, list(facts), 40 * GB)
    assert line.verdict == "fail"
    assert "and 95 more such" in line.seen
    assert len(line.seen) < 500


@pytest.mark.parametrize(
    ("store", "verdict", "seen"),
    [
        ({}, "ok", "12.0 GB for an object store of 10.0 GB"),
        ({"shm": 64 * 2**20}, "fail", "0.1 GB for an object store of 10.0 GB on b"),
        ({"folder": "/tmp/ray", "shm": 64 * 2**20}, "warn", "the object store is in /tmp/ray on b"),
        ({"error": "OSError: x"}, "fail", "OSError: x on b"),
    ],
)
def test_shared_memory_against_the_object_store(store, verdict, seen) -> None:
    line = judge_shared_memory({"a": machine(), "b": machine(store=store)})
    assert line is not None
    assert line.verdict == verdict
    assert seen in line.seen


def test_without_dev_shm_there_is_no_line() -> None:
    assert judge_shared_memory({"a": {"store": {"folder": "", "bytes": 0}}}) is None


def test_labelling_fits_a_node_or_is_a_fail_with_both_numbers() -> None:
    tasks = {"uvi/0": (1000, 2 * GB), "uvi/1": (9000, 5 * GB)}
    line = judge_labelling(tasks, {"a": 8 * GB, "b": 4 * GB})
    assert line.verdict == "ok"
    assert "uvi/1 of 9,000 images, takes about 5.0 GB and fits 1 of 2 nodes" in line.seen
    line = judge_labelling(tasks, {"a": 4 * GB, "b": 3 * GB})
    assert (line.verdict, line.seen) == (
        "fail",
        "uvi/1 (9,000 images) takes about 5.0 GB, and no node gives Ray more than 4.0 GB",
    )
    assert "labels.k1" in line.advice
