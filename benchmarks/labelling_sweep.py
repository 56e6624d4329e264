"""A sweep over values of eps compared with labelling once: seconds and their ratio, in one process.

    python benchmarks/labelling_sweep.py [--json FILE] [--num 12936] [--repeats 5]

The features are those of benchmarks/labelling.py. `one` is `pseudo_label` at eps 0.6; `sweep` covers the
default `labels.eps_candidates`, 0.4 to 0.7 by 0.05, and the labels at the chosen one. The two take turns; `ratio` is
the median over the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from labelling import made_features
from rich.console import Console

from itkm_core.clustering import choose_eps, pseudo_label, sweep
from itkm_core.clustering.sweep import eps_range

VALUES = eps_range(0.4, 0.7, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=12_936)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--images", type=int, default=20, help="images per person")
    parser.add_argument("--noise", type=float, default=1.7)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    rows = made_features(asked.num, asked.dimension, asked.images, asked.noise)
    seconds: dict[str, list[float]] = {"one": [], "sweep": []}
    cpu: dict[str, list[float]] = {"one": [], "sweep": []}

    def one() -> None:
        pseudo_label(rows, eps=0.6, num_threads=asked.threads)

    def several() -> None:
        found = sweep(rows, eps_values=VALUES, num_threads=asked.threads)
        found.pseudo_labels(choose_eps(found.points).index)

    for turn in range(asked.repeats + 1):
        for name, work in (("one", one), ("sweep", several)):
            started, used = time.perf_counter(), time.process_time()
            work()
            if turn:  # the first turn loads libraries and compiles kernels
                seconds[name].append(time.perf_counter() - started)
                cpu[name].append(time.process_time() - used)
    ratios = {
        key: statistics.median(b / a for a, b in zip(times["one"], times["sweep"], strict=True))
        for key, times in (("wall", seconds), ("cpu", cpu))
    }
    shown = {name: statistics.median(values) for name, values in seconds.items()}
    Console().print(
        f"{asked.num:,} x {asked.dimension}, {asked.threads} threads: one {shown['one']:.2f} s, "
        f"{len(VALUES)} values {shown['sweep']:.2f} s, ratio {ratios['wall']:.2f} "
        f"(CPU {ratios['cpu']:.2f})",
        highlight=False,
    )
    if asked.json:
        record = {"asked": {**vars(asked), "json": None, "values": VALUES}, "ratio": ratios}
        record |= {"seconds": seconds, "cpu_seconds": cpu, "cpus": os.cpu_count()}
        asked.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
