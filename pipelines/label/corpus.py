"""`itkm label --corpus`: features of the training images with one encoder, and their labels. No training.

In the output folder: extract/ (the features, kept for the next call), label/<scenario>-<group>/ as in a round of
`itkm run`, and pseudo_labels.parquet with index/, or sweep.json. The caller has connected to Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from itkm_core.clustering import LabelOptions
from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.errors import CorpusError
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.run_folder import RunFolder, digest_of
from pipelines.config import RunConfig
from pipelines.label.against import Against, alone_facts, alone_note, finish_index
from pipelines.label.corpus_tasks import arrive_group, check_encoder, encoder_record, index_group
from pipelines.label.features import (
    print_labels,
    show_sweeps,
    sweep_options,
    write_labels,
)
from pipelines.label.index import FOLDER, GroupRecord, Index
from pipelines.run.dag import Kind, Round, Step, plan_rounds
from pipelines.run.steps import RunContext, run_body
from pipelines.run.tables import print_step
from pipelines.steps.encoders import WEIGHTS
from pipelines.steps.label import GroupTask, group_features
from pipelines.steps.label_resources import resources_needed
from pipelines.steps.tasks import remote
from pipelines.telemetry.display import ProgressDisplay
from pipelines.telemetry.handle import Telemetry


@dataclass(frozen=True)
class Labeller:
    """One call of the command: what the steps look at, and the one round they belong to."""

    context: RunContext
    rounds: Sequence[Round]
    console: Console

    @property
    def extraction(self) -> Step:
        return self.rounds[0].one(Kind.EXTRACT)

    @property
    def labels(self) -> list[Step]:
        return self.rounds[0].of(Kind.LABEL)

    def run(self, step: Step) -> dict[str, Any]:
        """Do a step and return its facts."""
        return run_body(self.context, self.rounds[0], step)[1]

    def task(self, step: Step, options: LabelOptions) -> GroupTask:
        """What labelling one group needs."""
        return GroupTask(
            corpus_root=self.context.corpus.root,
            block=step.block,
            features=self.context.run.step(self.extraction.name) / "features",
            out=self.context.run.step(step.name),
            previous=None,
            options=options,
            without_camera=self.context.config.without_camera,
            telemetry=self.context.telemetry,
        )

    def resources(self, task: GroupTask, known: int = 0) -> dict[str, float]:
        """Memory and GPUs to ask Ray for; `known`: images of the group that it is labelled against."""
        return resources_needed(self.context.corpus, task, self.context.config, known)

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
            # As in engine.py: the end of the process ends the wait of those still there.
            pool.shutdown(wait=False, cancel_futures=True)


def label_corpus(
    config: RunConfig,
    corpus_path: str,
    checkpoint: Place | None,
    values: tuple[float, ...] | None,
    out: Place,
    console: Console,
    against: Against | None = None,
) -> None:
    """Label every (scenario, group) of a corpus, or with `values` sweep them and write no labels.

    checkpoint: a folder with the encoder; None takes the configuration's CLIP as it was pre-trained.
    against: what images of its groups are labelled against; those of another group are labelled alone.

    Raises:
        CorpusError: the corpus has no training images.
        ConfigError: the features of `against` are of another encoder.
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
    if against is not None:
        check_encoder(against, encoder_record(context))
    with ProgressDisplay(telemetry, console):
        labeller.extract()
        if values is not None:
            found = labeller.of_each_group(lambda step: _sweep(context, labeller, step, values))
        else:
            labelled = _label(labeller, out / FOLDER, against)
    if values is None:
        _show_labels(labeller, labelled, out, against)
    else:
        names = [step.block.name for step in labeller.labels]
        show_sweeps(dict(zip(names, found, strict=True)), out, console)


def _label(
    labeller: Labeller, index: Place, against: Against | None
) -> list[tuple[dict[str, Any], list[str], GroupRecord]]:
    """The labels of each group and its part of the index: its line of the table, notes, and its record."""
    known = {} if against is None else against.index.groups
    first_id = 0 if against is None else against.index.next_id

    def alone(step: Step) -> dict[str, Any]:
        return {} if step.block.name in known else labeller.run(step)

    def keep(step: Step, facts: dict[str, Any]) -> tuple[dict[str, Any], list[str], GroupRecord]:
        name = step.block.name
        telemetry = labeller.context.telemetry
        task = labeller.task(step, labeller.context.config.labels.for_scenario(step.scenario))
        if name in known:
            asked = labeller.resources(task, known[name].num_images)
            done: tuple[dict[str, Any], list[str], GroupRecord]
            done = remote(
                arrive_group,
                step.title,
                task,
                against,
                index,
                first_id,
                telemetry=telemetry,
                **asked,
            )
            return done
        asked = labeller.resources(task)
        record = remote(
            index_group, step.title, task, index, first_id, telemetry=telemetry, **asked
        )
        notes = [facts["warning"]] if facts["warning"] else []
        if against is None:
            return {"where": name, **facts}, notes, record
        return alone_facts(name, facts), [*notes, alone_note(name, against)], record

    # The index of an earlier call goes only when nothing can be refused any more.
    found = dict(zip(labeller.labels, labeller.of_each_group(alone), strict=True))
    index.clear()
    return labeller.of_each_group(lambda step: keep(step, found[step]))


def _show_labels(
    labeller: Labeller,
    labelled: list[tuple[dict[str, Any], list[str], GroupRecord]],
    out: Place,
    against: Against | None,
) -> None:
    context, console = labeller.context, labeller.console
    places = context.places(labeller.rounds[0], Kind.LABEL)
    names = [step.block.name for step in labeller.labels]
    asked = {
        name: (place / "parameters.json").read_json()
        for name, place in zip(names, places, strict=True)
    }
    table = pa.concat_tables([read_labels(place) for place in places]).sort_by("sample_id")
    more = {}
    if against is not None:
        first_id = more["first_sample_id"] = against.index.next_id
        table = table.set_column(0, "sample_id", pc.add(table["sample_id"], first_id))
        console.print(
            f"note: sample ids are the corpus' + {first_id:,}, behind those of {against.run}",
            highlight=False,
            soft_wrap=True,
        )
    write_labels(out, table, asked, against, **more)
    config = context.config
    index = Index(out / FOLDER, config.labels, config.without_camera, encoder_record(context), {})
    records = {name: record for name, (_, _, record) in zip(names, labelled, strict=True)}
    finish_index(index, records, against)
    sweeps = {name: values["sweep"] for name, values in asked.items() if "sweep" in values}
    if sweeps:
        show_sweeps(sweeps, out, console)
    notes = [note for _, several, _ in labelled for note in several]
    print_labels(console, [line for line, _, _ in labelled], notes, out, against)


def _sweep(
    context: RunContext, labeller: Labeller, step: Step, values: tuple[float, ...]
) -> dict[str, Any]:
    task = labeller.task(step, sweep_options(context.config, step.scenario, values))
    asked = labeller.resources(task)
    found: dict[str, Any] = remote(
        sweep_group, step.title, task, telemetry=context.telemetry, **asked
    )
    return found


def sweep_group(task: GroupTask) -> dict[str, Any]:
    """The sweep of one group as `label_rows.swept` records it: the body of a Ray task."""
    from itkm_core.clustering.auto_eps import swept
    from itkm_core.clustering.sweep import sweep_with
    from pipelines.steps.label_spans import group_workers

    ids, _, compared = group_features(task)
    where = task.block.name
    workers = group_workers(f"sweep[{where}]", len(ids), task.telemetry)
    found = sweep_with(compared, task.options, sample_ids=ids, workers=workers)
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
