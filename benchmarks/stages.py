"""Seconds and peak memory of each stage's step as a group grows fourfold: none grows as N^2.

    python benchmarks/stages.py [--json FILE] [--sizes 12500 25000 50000] [--repeats 3] [--threads 1]

All data is synthetic (`stages_steps.py`): unit vectors, 12.5 images per cluster, with partly wrong labels, and random
pictures for the training steps, which train itkm-tiny. Each measurement runs in its own process.

`seconds` are CPU seconds, the median over the calls (a single call if it is long); with one thread, they equal the wall
time on an idle core. The neighbour searches inside are exact, so they inherently take N x N multiply-adds; their
seconds are shown separately. `MB` is the peak resident memory of that process (as the kernel records it) or, if it
starts others, of all of them together (sampled), above what it holds with its libraries loaded: inputs included.
Growth is the x in N^x, from the first size to the last.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from bench_corpus import console, record, scratch, show
from stages_steps import IMAGES_A_CLUSTER, STAGES, Stage, make_world

SMALL = 1000  # images of the small world that warms up: more clusters than CHM has candidates
LONG = 20.0  # seconds; a step that takes longer is not called again


def growth(sizes: list[int], values: list[float]) -> float:
    """x where values grow as sizes^x from the first to the last; NaN with one size or no value."""
    if len(set(sizes)) < 2 or min(values) <= 0:
        return math.nan
    return math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])


def worker(stage: Stage, world: Path, small: Path, repeats: int) -> None:
    """In the measurement's own process: make the step, call it, print its cost."""
    import psutil

    stage.ready(small)
    before = psutil.Process().memory_info().rss
    _forget_peak()
    step = stage.make(world)
    calls, skipped = stage.steps or (repeats, 0)
    searching = [0.0]
    seconds, processor, searches = [], [], []
    with _timed(stage.search, searching):
        for number in range(calls):
            searching[0] = 0.0
            started, used = time.perf_counter(), time.process_time()
            step(number)
            processor.append(time.process_time() - used)
            seconds.append(time.perf_counter() - started)
            searches.append(searching[0])
            if stage.steps is None and sum(processor) > LONG:
                break
    facts = {"wall_seconds": seconds, "seconds": processor, "search_seconds": searches}
    held = {"before": before, "peak": _peak()}
    print(json.dumps({**{k: v[skipped:] for k, v in facts.items()}, **held}))


def _forget_peak() -> None:
    """Reset the kernel's peak of resident memory: loading libraries may have taken more."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Peak resident memory of this process in bytes; 0 if this is not Linux."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _timed(search: tuple[str, str] | None, total: list[float]) -> Any:
    """A context in which the CPU seconds of a function are added to `total`."""
    if search is None:
        return mock.patch.dict({})
    module, name = import_module(search[0]), search[1]
    plain: Callable[..., Any] = getattr(module, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        used = time.process_time()
        found = plain(*arguments, **options)
        total[0] += time.process_time() - used
        return found

    return mock.patch.object(module, name, timed)


def measure(name: str, world: Path, small: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a stage in its process and watch the memory of that process tree."""
    import psutil

    command = [sys.executable, __file__, "--worker", name, "--worlds", str(world), str(small)]
    command += ["--repeats", str(arguments.repeats)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    with (world / f"{name}.txt").open("w+") as out:
        process = subprocess.Popen(command, stdout=out, env=environment)
        tree, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            try:
                family = (tree, *tree.children(recursive=True))
                peak = max(peak, sum(one.memory_info().rss for one in family))
            except psutil.NoSuchProcess:
                continue
            time.sleep(0.25)
        if process.returncode:
            raise SystemExit(f"{name} failed with exit status {process.returncode}")
        out.seek(0)
        facts = json.loads(out.read().splitlines()[-1])
    peak = max(peak, facts.pop("peak"))
    facts["peak_mb"] = peak / 1e6
    facts["above_mb"] = (peak - facts.pop("before")) / 1e6
    return facts


def quality(world: Path, num: int) -> dict[str, float]:
    """Quality of the labels and of the CHM matches, as fractions; what was not measured is left out."""
    from sklearn.metrics import adjusted_rand_score

    found: dict[str, float] = {}
    if (world / "found.npy").exists():
        labels = np.load(world / "found.npy")
        person = (np.arange(num) / IMAGES_A_CLUSTER).astype(np.int64)
        found["outlier_share"] = float(np.mean(labels < 0))
        found["ari"] = float(adjusted_rand_score(person, labels))
    if (world / "clusters.npz").exists():
        saved = np.load(world / "clusters.npz")
        indptr, partners = saved["arr_0"], saved["arr_1"]
        own = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        found["right_cluster_matches"] = float(np.mean(own == partners))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[12_500, 25_000, 50_000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        help="calls, if they are short; a training step gets 12",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--worker", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--worlds", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        world, small = arguments.worlds
        worker(STAGES[arguments.worker], world, small, arguments.repeats)
        return
    if "train-3" in arguments.stages and not {"chm", "ihm"} <= set(arguments.stages):
        parser.error("train-3 learns from the results of chm and ihm: add them to --stages")
    stages = [name for name in STAGES if name in arguments.stages]
    sizes = sorted(arguments.sizes)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in stages}
    labels = []
    with scratch() as base:
        small = make_world(base / "small", SMALL)
        for num in sizes:
            world = make_world(base / str(num), num)
            for name in stages:
                facts = measure(name, world, small, arguments)
                found[name].append({"images": num, **facts})
                middle = statistics.median(facts["seconds"])
                console.print(f"{num:,} {name}: {middle:.3g} s, {facts['above_mb']:,.0f} MB")
            labels.append({"images": num, **quality(world, num)})
    growths = report(sizes, found)
    for line in labels:
        found_there = [f"{name} {value:.3g}" for name, value in line.items() if name != "images"]
        console.print(f"{line['images']:,} images: {', '.join(found_there)}")
    asked = {name: getattr(arguments, name) for name in ("sizes", "repeats", "threads")}
    record(arguments.json, {"asked": asked, "stages": found, "growth": growths, "labels": labels})


def report(sizes: list[int], found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Print both tables; the growth of each stage's seconds, of those outside the search, and of its memory."""
    times, memory, growths = [], [], {}
    for name, turns in found.items():
        seconds = [statistics.median(turn["seconds"]) for turn in turns]
        searches = [statistics.median(turn["search_seconds"]) for turn in turns]
        rest = [whole - part for whole, part in zip(seconds, searches, strict=True)]
        above = [turn["above_mb"] for turn in turns]
        grown = {
            "seconds": growth(sizes, seconds),
            "seconds_outside_search": growth(sizes, rest),
            "memory": growth(sizes, above),
        }
        growths[name] = grown
        times.append(
            {"what": STAGES[name].title}
            | {f"{num:,}": f"{value:,.3f}" for num, value in zip(sizes, seconds, strict=True)}
            | {"growth": grown["seconds"], "search": searches[-1], "rest": rest[-1]}
            | {"its growth": grown["seconds_outside_search"]}
        )
        memory.append(
            {"what": STAGES[name].title}
            | {f"{num:,}": f"{value:,.0f}" for num, value in zip(sizes, above, strict=True)}
            | {"growth": grown["memory"], "whole": f"{turns[-1]['peak_mb']:,.0f}"}
        )
    show("processor seconds by images a group; of the last, search and rest", times)
    show("MB by images a group; of the last, with libraries", memory)
    return growths


if __name__ == "__main__":
    main()
