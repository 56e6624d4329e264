"""`itkm label --corpus`: features of the training images with one encoder, and their labels. No training.

In the output folder: extract/ (the features, kept for the next call), label/<scenario>-<group>/ as in a round of
`itkm run`, and pseudo_labels.parquet with index/, or sweep.json. The caller has connected to Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from itkm_core.errors import CorpusError
from itkm_core.storage.place import Place
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.run_folder import RunFolder, digest_of
from pipelines.config import RunConfig
from pipelines.console import Console
from pipelines.label.against import Against
from pipelines.label.corpus_tasks import index_block, label_block, sweep_block
from pipelines.label.encoder import encoder_digest, encoder_record
from pipelines.label.group import sweep_options
from pipelines.label.index import FOLDER, Index, emptied
from pipelines.label.output import Labelled, write_labels, write_sweeps
from pipelines.run.command import open_corpus
from pipelines.run.dag import Kind, Round, Step, plan_rounds
from pipelines.run.steps import RunContext, at_work, run_body
from pipelines.run.tables import print_step
from pipelines.steps.label import GroupTask, gauge_labels
from pipelines.steps.label_resources import resources_needed
from pipelines.steps.links import plan_links
from pipelines.steps.tasks import remote
from pipelines.telemetry.display import ProgressDisplay
from pipelines.telemetry.handle import Telemetry


@dataclass(frozen=True)
class Labeller:
    """One call of the command: what the steps look at, the one round they belong to, and what it labels against."""

    context: RunContext
    round: Round
    against: Against | None = None

    @property
    def labels(self) -> list[Step]:
        return self.round.of(Kind.LABEL)

    @property
    def first_id(self) -> int:
        """What is added to the corpus' sample ids."""
        return 0 if self.against is None else self.against.index.next_id

    def remote(self, body: Callable[..., Any], step: Step, *arguments: Any) -> Any:
        """`body(task, *arguments)` as a Ray task for the block of `step`, with the memory and GPUs it takes."""
        context, known = self.context, 0
        if self.against is not None and self.against.knows(step.block.name):
            known = self.against.index.groups[step.block.name].num_images
        labels = context.config.labels
        options = partial(sweep_options, labels) if body is sweep_block else labels.for_scenario
        task = GroupTask(
            corpus_root=context.corpus.root,
            block=step.block,
            features=context.features(self.round),
            out=context.place(step),
            previous=None,
            options=options(step.scenario),
            without_camera=context.config.without_camera,
            links=context.links,
            telemetry=context.telemetry,
        )
        asked = resources_needed(context.corpus, task, context.config, known)
        context.telemetry.memory(step.title, {"asked": asked["memory"]})
        return remote(body, step.title, task, *arguments, telemetry=context.telemetry, **asked)

    def extract(self, console: Console) -> None:
        """Features of the training images; those of an earlier call if nothing they depend on has changed."""
        context, step = self.context, self.round.one(Kind.EXTRACT)
        inputs = {"corpus": context.corpus.digest, "encoder": encoder_digest(context)}
        manifest = context.run.finished(step.name, inputs)
        reused = manifest is not None
        if manifest is None:
            started = time.time()
            _, facts = run_body(context, self.round, step)
            manifest = context.run.finish(
                step.name, inputs=inputs, digest=digest_of(inputs), facts=facts, started=started
            )
        print_step(console, step, manifest, reused)

    def label(self, index: Place) -> dict[str, Labelled]:
        """The labels of each block by its name, all of them written to `index`."""
        telemetry = self.context.telemetry

        def alone(step: Step) -> Labelled | None:
            if self.against is not None and self.against.knows(step.block.name):
                return None
            found: Labelled
            with at_work(telemetry, self.round, step):
                found = self.remote(label_block, step, self.first_id, self.against)
            gauge_labels(telemetry, step.block, found.facts)
            return found

        def indexed(step: Step, found: Labelled | None) -> Labelled:
            if found is not None:
                record = self.remote(index_block, step, index, self.first_id)
                return replace(found, record=record)
            arrived: Labelled = self.remote(label_block, step, self.first_id, self.against, index)
            return arrived

        found = dict(zip(self.labels, self.of_each_block(alone), strict=True))
        # The index of an earlier call is removed only now that nothing can be refused any more.
        emptied(index)
        every = self.of_each_block(lambda step: indexed(step, found[step]))
        return {step.block.name: each for step, each in zip(self.labels, every, strict=True)}

    def sweep(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """What each of the `eps_candidates` gives in each block, by its name, and notes for the user."""
        found = self.of_each_block(lambda step: self.remote(sweep_block, step))
        names = [step.block.name for step in self.labels]
        records = {name: record for name, (record, _) in zip(names, found, strict=True)}
        return records, [note for _, notes in found for note in notes]

    def of_each_block(self, body: Callable[[Step], Any]) -> list[Any]:
        """`body` of every label step, side by side: the threads only wait for Ray. The first error ends all."""
        pool = ThreadPoolExecutor(len(self.labels), thread_name_prefix="itkm-label")
        try:
            futures = [pool.submit(body, step) for step in self.labels]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                if future.done():
                    future.result()  # raises its error
            return [future.result() for future in futures]
        finally:
            # As in engine.py: threads that still wait end with the process.
            pool.shutdown(wait=False, cancel_futures=True)


def label_corpus(
    config: RunConfig,
    corpus_path: str,
    checkpoint: Place | None,
    out: Place,
    console: Console,
    against: Against | None = None,
    *,
    sweeping: bool = False,
) -> None:
    """Label every block of a corpus, or, `sweeping`, try the `eps_candidates` and write no labels.

    checkpoint: a folder with the encoder; None takes the configuration's CLIP as it was pre-trained.
    against: what images of its blocks are labelled against; those of other blocks are labelled alone.

    Raises:
        CorpusError: the corpus has no training images.
        ConfigError: the configuration names a scenario or group that is not in the corpus, or the features of
            `against` are of another encoder.
        LabelError: eps is "auto", and no candidate gives labels that could be learnt from.
    """
    corpus = open_corpus(config, corpus_path)
    groups = corpus.groups("train")
    if not groups:
        raise CorpusError(f"the corpus at {corpus.root} has no images with split train")
    telemetry = Telemetry.start()
    links = plan_links(config, corpus)
    context = RunContext(
        config, corpus, RunFolder(out), telemetry, checkpoint=checkpoint, links=links
    )
    (only,) = plan_rounds(groups, 0, 0, evaluate=None)
    labeller = Labeller(context, only, against)
    encoder = encoder_record(context)
    if against is not None:
        against.check_encoder(encoder)
        against.check_room(corpus.num_images)
    with ProgressDisplay(telemetry, console):
        labeller.extract(console)
        if sweeping:
            records, notes = labeller.sweep()
        else:
            found = labeller.label(out / FOLDER)
    if sweeping:
        write_sweeps(records, out, console, notes)
        return
    places = context.places(only, Kind.LABEL)
    table = pa.concat_tables([read_labels(place) for place in places]).sort_by("sample_id")
    first_id = None
    if against is not None:
        first_id = labeller.first_id
        console.print(
            f"note: sample ids are those of the corpus + {first_id:,}: numbering continues after the "
            f"largest of {against.run}"
        )
    index = Index(out / FOLDER, config.labels, config.without_camera, encoder, {})
    write_labels(out, table, found, index, console, against, first_id, corpus)
