"""A Stage I step under Ray Train compared with a bare loop, and where the seconds of a round go.

    python benchmarks/train_step.py [--json FILE]

Target: Ray Train reaches at least 0.95 of the bare loop's images/s (steady state: the first step of each is left out).
Also shown: the seconds to start a worker group, next to a round's own computing. The bare loop is one process with as
many threads that loads, augments and trains without Ray, also prefetching one batch.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench_corpus import console, made_corpus, own_ray, record, scratch, show

from itkm_core.corpus.schema import Corpus
from itkm_core.storage.place import Place
from pipelines.config import RunConfig, load_config
from pipelines.steps.encoders import EncoderSource


def bare(base: Path, config: RunConfig, labels: list[str], threads: int) -> float:
    """Images per second of one process without Ray."""
    import torch

    from itkm_core.corpus.loader import BatchLoader
    from itkm_core.corpus.sampling import plan_step
    from itkm_core.corpus.store import CorpusStore
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.memory import ClusterMemory
    from pipelines.artifacts.blocks import Block
    from pipelines.artifacts.labels import read_centroids, read_labels
    from pipelines.training.worker import group_indices

    torch.set_num_threads(threads)
    corpus = Corpus.open(base / "corpus")
    places = [Place.at(label) for label in labels]
    tables = [read_labels(place) for place in places]
    indices = group_indices(tables, corpus.scenarios)
    encoder, info = EncoderSource(config.model, corpus.scenarios, config.seed).load()
    memories = [ClusterMemory(torch.from_numpy(read_centroids(place))) for place in places]
    stage = StageOne(encoder, memories, config.homogeneous, total_steps=1000)
    plans = [
        plan_step(
            indices,
            clusters_per_group=config.homogeneous.clusters_per_group,
            images_per_cluster=config.homogeneous.images_per_cluster,
            seed=0,
            round=1,
            step=step,
        )
        for step in range(config.homogeneous.steps_per_round)
    ]
    loader = BatchLoader(
        CorpusStore(corpus),
        config.model.image_size,
        info.mean,
        info.std,
        [config.augmentation.of(*Block.of(table)) for table in tables],
        threads=threads,
    )
    images, started = 0, 0.0
    for number, (plan, pixels) in enumerate(loader.iterate(plans)):
        stage.step(pixels, plan)
        if number == 0:
            started = time.time()
        else:
            images += len(plan)
    return images / (time.time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--bare", nargs="+", help=argparse.SUPPRESS
    )  # BASE LABEL...: the subprocess
    arguments = parser.parse_args()
    config = load_config("tiny", [f"homogeneous.steps_per_round={arguments.steps}"])
    if arguments.bare:
        base, *labels = arguments.bare
        print(bare(Path(base), config, labels, arguments.threads))
        return
    rates: dict[str, list[float]] = {"bare loop": [], "Ray Train": []}
    starts, trained = [], []
    with scratch() as base, own_ray(arguments.threads):
        made_corpus(base, arguments.people, 4)
        labels = first_labels(base, config)
        for turn in range(arguments.repeats):
            command = [sys.executable, __file__, "--steps", str(arguments.steps)]
            command += ["--threads", str(arguments.threads), "--bare", str(base), *labels]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rates["bare loop"].append(float(done.stdout.split()[-1]))
            facts = on_ray(base, config, labels, base / f"train-{turn}")
            rates["Ray Train"].append(facts["images_per_second"])
            starts.append(facts["start_seconds"])
            trained.append(facts["train_seconds"])
            console.print(f"turn {turn + 1}: " + str({k: round(v[-1]) for k, v in rates.items()}))
    pairs = zip(rates["Ray Train"], rates["bare loop"], strict=True)
    ratio = statistics.median([ours / theirs for ours, theirs in pairs])
    show("Stage I", [{"what": n, "images/s": statistics.median(v)} for n, v in rates.items()])
    console.print(f"Ray Train / bare loop: {ratio:.2f} (target: at least 0.95)")
    console.print(
        f"a worker group starts in {statistics.median(starts):.1f} s; {arguments.steps} steps take "
        f"{statistics.median(trained):.1f} s"
    )
    record(
        arguments.json,
        {"rates": rates, "ratio": ratio, "start_seconds": starts, "train_seconds": trained},
    )


def first_labels(base: Path, config: RunConfig) -> list[str]:
    """Extract and label once; returns the label steps' folders."""
    from pipelines.artifacts.blocks import Block
    from pipelines.steps.extract import extract
    from pipelines.steps.label import GroupTask, label_group
    from pipelines.telemetry.handle import Telemetry

    corpus = Corpus.open(base / "corpus")
    source = EncoderSource(config.model, corpus.scenarios, config.seed)
    features = Place.at(base / "features")
    extract(corpus, source, config, features, splits=["train"], telemetry=Telemetry())
    labels = []
    for block in [Block(*each) for each in corpus.groups()]:
        out = Place.at(base / "labels" / block.file_name)
        options = config.labels.for_scenario(block.scenario)
        label_group(GroupTask(corpus.root, block, features, out, None, options))
        labels.append(str(out))
    return labels


def on_ray(base: Path, config: RunConfig, labels: list[str], out: Path) -> dict[str, float]:
    from pipelines.telemetry.handle import Telemetry
    from pipelines.training.jobs import train_round
    from pipelines.training.tasks import TrainTask

    corpus = Corpus.open(base / "corpus")
    task = TrainTask(
        config=config,
        scenarios=corpus.scenarios,
        number=1,
        labels=tuple(Place.at(label) for label in labels),
        out=Place.at(out),
        telemetry=Telemetry(),
        corpus_root=corpus.root,
        source=EncoderSource(config.model, corpus.scenarios, config.seed),
        previous=None,
    )
    return train_round(task)[1]


if __name__ == "__main__":
    main()
