"""`itkm label --corpus`: features of the training images with one encoder, and their labels. No training.

In the output folder: extract/ (the features, kept for the next call), label/<scenario>-<group>/ as in a round of
`itkm run`, and pseudo_labels.parquet, or sweep.json. The caller has connected to Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from rich.console import Console

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError
from pipelines.config import RunConfig
from pipelines.dag import Kind, Round, Step, plan_rounds
from pipelines.encoders import WEIGHTS
from pipelines.label import GroupTask, group_features, read_labels
from pipelines.label_features import (
    name_of,
    print_labels,
    show_sweeps,
    sweep_options,
    write_labels,
)
from pipelines.label_memory import memory_needed
from pipelines.runs import RunFolder, digest_of
from pipelines.scenarios import narrow
from pipelines.spans import gpus_to_label
from pipelines.steps import RunContext, remote, run_body
from pipelines.storage import Place
from pipelines.tables import print_step
from pipelines.telemetry import ProgressDisplay, Telemetry


@dataclass(frozen=True)
class Labeller:
    """One call of the command: what the steps look at, and the one round they belong to."""

    context: RunContext
    rounds: Sequence[Round]
    console: Console

    @property
    def extraction(self) -> Step:
        (step,) = self.rounds[0].of(Kind.EXTRACT)
        return step

    @property
    def labels(self) -> list[Step]:
        return self.rounds[0].of(Kind.LABEL)

    def run(self, step: Step) -> dict[str, Any]:
        """Do a step and return its facts."""
        return run_body(self.context, self.rounds, 1, step)[1]

    def extract(self) -> None:
        """Features of the training images, those of an earlier call where nothing they hang on has changed."""
        context, step = self.context, self.extraction
        inputs = {"corpus": context.corpus.digest, "encoder": encoder_digest(context)}
        manifest = context.run.finished(step.name, inputs)
        reused = manifest is not None
        if manifest is None:
            started = time.time()
            facts = self.run(step)
            manifest = context.run.finish(
                step.name, inputs=inputs, digest=digest_of(inputs), facts=facts, started=started
            )
        print_step(self.console, step, manifest, reused)

    def of_each_group(self, body: Callable[[Step], Any]) -> list[Any]:
        """`body` of every label step, side by side: the threads only wait for Ray. The first error ends it."""
        pool = ThreadPoolExecutor(len(self.labels), thread_name_prefix="itkm-label")
        try:
            futures = [pool.submit(body, step) for step in self.labels]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()  # raises what ended it
            return [future.result() for future in futures]
        finally:
            # As in engine.py: ray.shutdown() by the caller ends the wait of those still there.
            pool.shutdown(wait=False, cancel_futures=True)


def label_corpus(
    config: RunConfig,
    corpus_path: str,
    checkpoint: Place | None,
    values: tuple[float, ...] | None,
    out: Place,
    console: Console,
) -> None:
    """Label every (scenario, group) of a corpus, or with `values` sweep them and write no labels.

    checkpoint: a folder with the encoder; None takes the configuration's CLIP as it was pre-trained.

    Raises:
        CorpusError: the corpus has no training images.
        LabelError: eps is to be chosen, and no candidate gives labels that could be learnt from.
    """
    corpus = narrow(Corpus.open(corpus_path), config.only)
    groups = corpus.groups("train")
    if not groups:
        raise CorpusError(f"the corpus at {corpus.root} has no images with split train")
    telemetry = Telemetry.start()
    context = RunContext(
        config, corpus, RunFolder(out), telemetry, checkpoint=checkpoint, learns=False
    )
    labeller = Labeller(context, plan_rounds(groups, 0, 0, evaluate=None), console)
    with ProgressDisplay(telemetry, console):
        labeller.extract()
        found = labeller.of_each_group(
            labeller.run if values is None else lambda step: _sweep(context, labeller, step, values)
        )
    if values is None:
        _show_labels(labeller, found, out)
    else:
        names = [name_of(step.scenario, step.group) for step in labeller.labels]
        show_sweeps(dict(zip(names, found, strict=True)), out, console)


def _show_labels(labeller: Labeller, found: list[dict[str, Any]], out: Place) -> None:
    places = labeller.context.places(labeller.rounds[0], Kind.LABEL)
    names = [name_of(step.scenario, step.group) for step in labeller.labels]
    asked = {
        name: (place / "parameters.json").read_json()
        for name, place in zip(names, places, strict=True)
    }
    table = pa.concat_tables([read_labels(place) for place in places]).sort_by("sample_id")
    write_labels(out, table, asked)
    records = {name: values["sweep"] for name, values in asked.items() if "sweep" in values}
    if records:
        show_sweeps(records, out, labeller.console)
    rows = [{"where": name, **facts} for name, facts in zip(names, found, strict=True)]
    notes = [facts["warning"] for facts in found if facts["warning"]]
    print_labels(labeller.console, rows, notes, out)


def _sweep(
    context: RunContext, labeller: Labeller, step: Step, values: tuple[float, ...]
) -> dict[str, Any]:
    task = GroupTask(
        corpus_root=context.corpus.root,
        scenario=step.scenario,
        group=step.group,
        features=context.run.step(labeller.extraction.name) / "features",
        out=context.run.step(step.name),
        previous=None,
        options=sweep_options(context.config, step.scenario),
        without_camera=context.config.without_camera,
    )
    needed = memory_needed(context.corpus, task)
    images = context.corpus.counts[(step.scenario, step.group, "train")]
    config = context.config
    gpus = gpus_to_label(images, config.compute.gpus_per_label, config.labels.dbscan)
    found: dict[str, Any] = remote(sweep_group, step, task, values, memory=needed, gpus=gpus)
    return found


def sweep_group(task: GroupTask, values: tuple[float, ...]) -> dict[str, Any]:
    """The sweep of one group as `label_rows.swept` records it: the body of a Ray task."""
    from itkm_core.clustering import sweep
    from pipelines.label_rows import swept
    from pipelines.spans import group_workers

    ids, _, compared = group_features(task)
    where = name_of(task.scenario, task.group)
    workers = group_workers(f"sweep[{where}]", len(ids))
    found = sweep(compared, eps_values=values, sample_ids=ids, workers=workers, **task.options)
    return swept(found, where=where)


def encoder_digest(context: RunContext) -> str:
    """What decides the features of a corpus' images: the encoder, and how it computes."""
    config = context.config
    if context.checkpoint is not None:
        encoder = digest_of((context.checkpoint / WEIGHTS).read_bytes())
    else:
        embedding = config.components.scenario_embedding
        encoder = digest_of([config.model.model_dump(mode="json"), config.seed, embedding])
    return digest_of([encoder, list(context.corpus.scenarios), config.extract_precision])
