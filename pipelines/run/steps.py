"""What each step of a round does on Ray, and where its inputs and outputs are in the run folder.

Extraction is a Ray Data pipeline, training and prompts are Ray Train jobs, the rest are Ray tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from itkm_core.corpus.schema import Corpus
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.run_folder import RunFolder, digest_of
from pipelines.artifacts.texts import Texts
from pipelines.config import RunConfig
from pipelines.run.dag import Kind, Round, Stage, Step
from pipelines.steps.encoders import EncoderSource
from pipelines.steps.evaluate import evaluate, splits_to_extract
from pipelines.steps.extract import extract
from pipelines.steps.label import GroupTask, gauge_labels, label_group
from pipelines.steps.label_resources import resources_needed
from pipelines.steps.links import LinkPlan
from pipelines.steps.match import MatchTask, match_scenario
from pipelines.steps.tasks import remote
from pipelines.telemetry.handle import Telemetry
from pipelines.training.jobs import learn_prompts, train_round
from pipelines.training.round_worker import CHECKPOINT
from pipelines.training.tasks import PromptsTask, TrainTask

FEATURES = "features"  # the folder of an extraction's files, below its step

# Digest of the output, and facts. Without a digest the output is named by its inputs, which decide it.
Outcome = tuple[str | None, dict[str, Any]]


@dataclass(frozen=True)
class RunContext:
    """What every step of a run may look at."""

    config: RunConfig
    corpus: Corpus
    run: RunFolder
    telemetry: Telemetry = field(default_factory=Telemetry)
    extracting: Lock = field(default_factory=Lock)
    checkpoint: Place | None = None  # of round 1's encoder; None: CLIP as it was pre-trained
    links: LinkPlan | None = None
    needs_text: bool = False  # whether a later step learns texts with the CLIP's text encoder

    def place(self, step: Step) -> Place:
        return self.run.step(step.name)

    def places(self, each: Round, kind: Kind) -> tuple[Place, ...]:
        """The folders of a round's steps of one kind, in their order."""
        return tuple(map(self.place, each.of(kind)))

    def matches(self, each: Round) -> dict[str, Place]:
        """The folders of a round's match steps, by scenario."""
        return {step.scenario: self.place(step) for step in each.of(Kind.MATCH)}

    def features(self, each: Round, kind: Kind = Kind.EXTRACT) -> Place:
        return self.place(each.one(kind)) / FEATURES

    def encoder_after(self, each: Round | None) -> EncoderSource:
        """The encoder that a round trained; with None the run's first."""
        checkpoint = self.checkpoint
        if each is not None:
            checkpoint = self.place(each.one(Kind.TRAIN)) / CHECKPOINT
        return EncoderSource(
            self.config.model,
            self.corpus.scenarios,
            self.config.seed,
            checkpoint,
            self.config.components.scenario_embedding,
            self.needs_text,
        )


def run_body(context: RunContext, each: Round, step: Step) -> Outcome:
    """Do the work of a step of round `each`; its inputs are complete."""
    with at_work(context.telemetry, each, step):
        return _BODIES[step.kind](context, each, step)


@contextmanager
def at_work(telemetry: Telemetry, each: Round, step: Step) -> Iterator[None]:
    """Show on the board that a step is at work, and then how long it took."""
    line, started = _line(each, step), time.time()
    telemetry.set("itkm_round", each.number)
    telemetry.enter(line)
    try:
        yield
    finally:
        telemetry.leave(line)
    telemetry.set("itkm_step_seconds", time.time() - started, step=step.title)


def _extract(context: RunContext, each: Round, step: Step) -> Outcome:
    splits = splits_to_extract(context.corpus) if each.of(Kind.EVALUATE) else ["train"]
    return _features(context, each, step, context.encoder_after(each.before), splits)


def _frozen(context: RunContext, each: Round, step: Step) -> Outcome:
    """Stage II's image vectors: CLIP as it was pre-trained, of the training images alone."""
    source = replace(context.encoder_after(None), scenario_embedding=False)
    return _features(context, each, step, source, ["train"])


def _features(
    context: RunContext, each: Round, step: Step, source: EncoderSource, splits: Sequence[str]
) -> Outcome:
    line = _line(each, step)
    total = sum(n for (_, _, split), n in context.corpus.counts.items() if split in splits)
    # Each asks for the whole cluster: two at once would wait for each other's half.
    with context.extracting:
        context.telemetry.begin(line, total)
        facts = extract(
            context.corpus,
            source,
            context.config,
            context.place(step) / FEATURES,
            splits=splits,
            telemetry=context.telemetry,
            name=line,
            round=each.number,
        )
    return None, {"images": total, **facts}


def _label(context: RunContext, each: Round, step: Step) -> Outcome:
    extraction = each.one(Kind.EXTRACT).name
    earlier = [need for need in step.needs if need != extraction]
    task = GroupTask(
        corpus_root=context.corpus.root,
        block=step.block,
        features=context.features(each),
        out=context.place(step),
        previous=context.run.step(earlier[0]) if earlier else None,
        options=context.config.labels.for_scenario(step.scenario),
        without_camera=context.config.without_camera,
        links=context.links,
        telemetry=context.telemetry,
    )
    asked = resources_needed(context.corpus, task, context.config)
    context.telemetry.memory(step.title, {"asked": asked["memory"]})
    digest, facts = remote(label_group, step.title, task, telemetry=context.telemetry, **asked)
    facts["memory_bytes"] = asked["memory"]
    gauge_labels(context.telemetry, step.block, facts)
    return digest, facts


def _prompts(context: RunContext, each: Round, step: Step) -> Outcome:
    task = PromptsTask(
        corpus_root=context.corpus.root,
        config=context.config,
        scenarios=context.corpus.scenarios,
        number=each.number,
        labels=context.places(each, Kind.LABEL),
        out=context.place(step),
        telemetry=context.telemetry,
        features=context.features(each, Kind.FROZEN),
    )
    return learn_prompts(task)


def _match(context: RunContext, each: Round, step: Step) -> Outcome:
    config = context.config
    labels = {
        label.group: context.place(label)
        for label in each.of(Kind.LABEL)
        if label.scenario == step.scenario
    }
    texts = frozen = None
    needed = [other for one in each.back() for other in one.steps if other.name in step.needs]
    for other in needed:
        where = context.place(other)
        if other.kind is Kind.FROZEN:
            frozen = where / FEATURES
        elif other.kind is Kind.PROMPTS:
            names = {group: Block(step.scenario, group).file_name for group in labels}
            texts = {group: Texts(where, name) for group, name in names.items()}
        elif other.kind is Kind.MATCH:
            texts = {group: Texts(where, str(group)) for group in labels}
    task = MatchTask(
        scenario=step.scenario,
        labels=labels,
        features=context.features(each),
        out=context.place(step),
        options=config.matching,
        clusters=config.matches_clusters,
        instances=config.matches_instances,
        max_negatives=config.heterogeneous.max_negatives,
        texts=texts,
        rho=config.text_update.rho if config.components.dru else None,
        without_camera=context.corpus.root if config.without_camera else None,
        frozen=frozen,
    )
    digest, facts = remote(match_scenario, step.title, task, telemetry=context.telemetry)
    share = facts.get("clusters", {}).get("mutual_share")
    if share is not None:
        context.telemetry.set("itkm_mutual_match_share", share, scenario=step.scenario)
    return digest, facts


def _evaluate(context: RunContext, each: Round, step: Step) -> Outcome:
    corpus = context.corpus
    labels = {label.block: context.place(label) for label in each.of(Kind.LABEL)}
    inputs = (corpus.root, context.features(each), labels, context.matches(each), corpus.scenarios)
    result = remote(evaluate, step.title, *inputs, telemetry=context.telemetry)
    (context.place(step) / "evaluation.json").write_json(result)
    return digest_of(result), result


def _train(context: RunContext, each: Round, step: Step) -> Outcome:
    before = each.before
    goes_on = before is not None and before.stage is each.stage
    source = context.encoder_after(before)
    prompts = [learnt for one in each.back() for learnt in context.places(one, Kind.PROMPTS)]
    task = TrainTask(
        config=context.config,
        scenarios=context.corpus.scenarios,
        number=each.number,
        labels=context.places(each, Kind.LABEL),
        out=context.place(step),
        telemetry=context.telemetry,
        corpus_root=context.corpus.root,
        source=source,
        previous=source.checkpoint if goes_on else None,
        heterogeneous=each.stage is Stage.HETEROGENEOUS,
        features=context.features(each),
        matches=context.matches(each),
        prompts=prompts[0] if prompts else None,
    )
    return train_round(task)


def _line(each: Round, step: Step) -> str:
    """What the progress line calls a step; those of one kind share it."""
    return f"{each.folder} {step.kind}"


_BODIES: dict[Kind, Callable[[RunContext, Round, Step], Outcome]] = {
    Kind.EXTRACT: _extract,
    Kind.FROZEN: _frozen,
    Kind.LABEL: _label,
    Kind.PROMPTS: _prompts,
    Kind.MATCH: _match,
    Kind.TRAIN: _train,
    Kind.EVALUATE: _evaluate,
}
