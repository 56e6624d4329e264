"""One experiment on made-up people, in one process and on one core; its line goes to a log.

    python -m benchmarks.lab.experiment CORPUS NAME [KEY=VALUE ...] [--variant V] [--log benchmarks/lab/log.jsonl]

NAME says what is tried. KEY=VALUE are overrides of the recipe `tiny` at the ablation's length (2 + 4 rounds of 65
steps). The numbers come close to those of `itkm ablate`, which has the last word.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

LENGTH = (
    "homogeneous_rounds=2",
    "heterogeneous_rounds=4",
    "homogeneous.steps_per_round=65",
    "homogeneous.precision=bf16",
    "prompts.steps=900",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="One experiment, on one core.")
    parser.add_argument("corpus", help="folder of `itkm ingest`")
    parser.add_argument("name", help="what is tried, for the log")
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE of the recipe")
    parser.add_argument("--recipe", default="tiny")
    parser.add_argument("--variant", default="Method", help="a class of experiments.py")
    parser.add_argument("--log", type=Path, default=Path("benchmarks/lab/log.jsonl"))
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "itkm-lab"))
    parser.add_argument(
        "--more", action="append", default=[], metavar="BLOCK:NAME=VALUE", help="of augment_more"
    )
    given = parser.parse_args()
    more: dict[str, dict[str, float]] = {}
    for each in given.more:
        block, name, value = re.split("[:=]", each)
        more.setdefault(block, {})[name] = float(value)

    from benchmarks.lab.experiments import VARIANTS
    from benchmarks.lab.world import World
    from pipelines.config import load_config

    config = load_config(given.recipe, [*LENGTH, *given.overrides])
    world = World.open(given.corpus, config.model.image_size)
    method = VARIANTS[given.variant](world, config, keep=given.keep, say=print, more=more)
    found = method.run()
    line = {
        "name": given.name,
        "variant": given.variant,
        "overrides": given.overrides,
        "more": given.more,
        "people": Path(given.corpus).name,
        "seed": config.seed,
        "scores": {key: round(value, 2) for key, value in found["scores"].items()},
        "matches": found["matches"],
        "seconds": round(found["seconds"]),
    }
    with given.log.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
