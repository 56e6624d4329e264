"""A run of many rounds in one process: what grows from round to round?

    python benchmarks/soak.py --corpus demo/corpus [--rounds 60] [--json FILE]

Three rounds are Stage I and the others Stage III, whose first brings its own code and data, with a few steps each, on a
local Ray. After each round it counts what the driver, Ray's own processes and Ray's workers hold, what is in the object
store, and what Ray has on disk. `growth` is the median of the last five rounds by that of rounds 6 to 10; `flat` is a
growth of at most 5 %.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import psutil
from bench_corpus import record, show
from rich.console import Console

STAGE_I, WARM, WINDOW, TOLERANCE = 3, 5, 5, 0.05
SMALL = ["homogeneous.steps_per_round=2", "prompts.steps=10", "evaluate_every_round=false"]


def measured() -> dict[str, float]:
    """What there is of everything at this moment; sizes in bytes."""
    import ray
    from ray._private.internal_api import get_memory_info_reply
    from ray._private.state import state

    here = psutil.Process()
    found = {
        "driver memory": here.memory_info().rss,
        "driver descriptors": here.num_fds(),
        "driver threads": here.num_threads(),
        "Ray's memory": 0,
        "Ray's descriptors": 0,
        "Ray's threads": 0,
        "workers' memory": 0,
        "workers": 0,
    }
    for each in here.children(recursive=True):
        try:
            command = " ".join(each.cmdline())
            if command.startswith("ray::"):
                found["workers' memory"] += each.memory_info().rss
                found["workers"] += 1
            elif "ray" in command:
                found["Ray's memory"] += each.memory_info().rss
                found["Ray's descriptors"] += each.num_fds()
                found["Ray's threads"] += each.num_threads()
        except psutil.Error:  # it has just ended
            continue
    store = get_memory_info_reply(state).store_stats
    found["object store"] = store.object_store_bytes_used
    session = Path(ray.get_runtime_context().get_session_name())
    folder = Path(tempfile.gettempdir(), "ray") / session
    found["session on disk"] = sum(
        each.lstat().st_size for each in folder.rglob("*") if each.is_file()
    )
    return {name: float(value) for name, value in found.items()}


def growths(samples: list[dict[str, float]]) -> list[dict[str, object]]:
    """A row for each thing that was measured, from a sample a round."""
    rows = []
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        early = statistics.median(values[WARM : WARM + WINDOW])
        late = statistics.median(values[-WINDOW:])
        growth = late / early if early else 1.0 + late
        rows.append(
            {
                "what": name,
                "early": early,
                "late": late,
                "growth": growth,
                "flat": growth <= 1 + TOLERANCE,
            }
        )
    return rows


def soak(corpus: str, rounds: int, overrides: list[str]) -> list[dict[str, float]]:
    """Run, and return a sample for each round."""
    from pipelines.config import load_config
    from pipelines.run import command
    from pipelines.session import ray_session

    samples: list[dict[str, float]] = []
    shown = command.print_round

    def sample(*arguments: object) -> None:
        shown(*arguments)
        samples.append(measured())

    command.print_round = sample
    stages = [f"homogeneous_rounds={STAGE_I}", f"heterogeneous_rounds={rounds - STAGE_I}"]
    console = Console()
    with tempfile.TemporaryDirectory(prefix="itkm-soak-") as base:
        config = load_config("tiny", [*SMALL, *stages, *overrides])
        connect = partial(ray_session, console)
        command.run_pipeline(config, corpus, f"{base}/run", console, connect=connect)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("overrides", nargs="*", help="changes to the recipe `tiny`")
    asked = parser.parse_args()
    if asked.rounds < WARM + 2 * WINDOW:
        parser.error(f"--rounds must be at least {WARM + 2 * WINDOW}")
    samples = soak(asked.corpus, asked.rounds, asked.overrides)
    rows = growths(samples)
    show(f"{len(samples)} rounds", rows)
    record(asked.json, {"growth": rows, "samples": samples})


if __name__ == "__main__":
    main()
