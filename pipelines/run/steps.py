"""What each step of a round does, on Ray, and where its inputs and outputs are in the run folder.

Extraction is a Ray Data pipeline, training and prompts are Ray Train jobs, the rest are Ray tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from pipelines.steps.label import GroupTask, label_group
from pipelines.steps.label_resources import resources_needed
from pipelines.steps.match import MatchTask, match_scenario
from pipelines.steps.tasks import remote
from pipelines.telemetry.handle import Telemetry
from pipelines.training.jobs import train_prompts, train_round

# Digest of the output, and facts. Without a digest the output is named by its inputs, which decide it.
Outcome = tuple[str | None, dict[str, Any]]


@dataclass(frozen=True)
class RunContext:
    """What every step of a run may look at."""

    config: RunConfig
    corpus: Corpus
    run: RunFolder
    telemetry: Telemetry
    extracting: Lock = field(default_factory=Lock)
    checkpoint: Place | None = None  # where round 1's encoder is; None: CLIP as it was pre-trained
    learns: bool = True  # whether labels are there to be learnt from

    def places(self, each: Round, kind: Kind) -> tuple[Place, ...]:
        """The folders of a round's steps of one kind, in their order."""
        return tuple(self.run.step(step.name) for step in each.of(kind))

    def encoder_before(self, rounds: Sequence[Round], number: int) -> EncoderSource:
        """The encoder round `number` starts from: what the round before trained, in round 1 the run's first."""
        checkpoint = self.checkpoint
        if number > 1:
            (train,) = rounds[number - 2].of(Kind.TRAIN)
            checkpoint = self.run.step(train.name) / "checkpoint"
        return EncoderSource(
            self.config.model,
            self.corpus.scenarios,
            self.config.seed,
            checkpoint,
            self.config.components.scenario_embedding,
        )


def run_body(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    """Do what step `step` of round `number` (from 1) is there for; its inputs are complete."""
    line, started = _line(rounds, number, step), time.time()
    context.telemetry.set("itkm_round", number)
    context.telemetry.enter(line)
    try:
        outcome = _BODIES[step.kind](context, rounds, number, step)
    finally:
        context.telemetry.leave(line)
    context.telemetry.set("itkm_step_seconds", time.time() - started, step=step.title)
    return outcome


def _extract(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    splits = splits_to_extract(context.corpus)
    if not rounds[number - 1].of(Kind.EVALUATE):
        splits = ["train"]
    return _features(context, rounds, number, step, context.encoder_before(rounds, number), splits)


def _frozen(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    """Stage II's image vectors: CLIP as it was pre-trained, of the training images alone."""
    source = replace(context.encoder_before(rounds, 1), scenario_embedding=False)
    return _features(context, rounds, number, step, source, ["train"])


def _features(
    context: RunContext,
    rounds: Sequence[Round],
    number: int,
    step: Step,
    source: EncoderSource,
    splits: Sequence[str],
) -> Outcome:
    total = sum(n for (_, _, split), n in context.corpus.counts.items() if split in splits)
    # Each asks for the whole cluster: two at once would wait for each other's half.
    with context.extracting:
        context.telemetry.begin(_line(rounds, number, step), total)
        facts = extract(
            context.corpus,
            source,
            context.config,
            context.run.step(step.name) / "features",
            splits=splits,
            telemetry=context.telemetry,
            name=_line(rounds, number, step),
        )
    return None, {"images": total, **facts}


def _label(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    (extraction,) = each.of(Kind.EXTRACT)
    earlier = [need for need in step.needs if need != extraction.name]
    task = GroupTask(
        corpus_root=context.corpus.root,
        block=step.block,
        features=context.run.step(extraction.name) / "features",
        out=context.run.step(step.name),
        previous=context.run.step(earlier[0]) if earlier else None,
        options=context.config.labels.for_scenario(step.scenario),
        without_camera=context.config.without_camera,
        learns=context.learns,
        telemetry=context.telemetry,
    )
    asked = resources_needed(context.corpus, task, context.config)
    context.telemetry.memory(step.title, {"asked": asked["memory"]})
    digest, facts = remote(label_group, step.title, task, telemetry=context.telemetry, **asked)
    facts["memory_bytes"] = asked["memory"]
    tags = {"scenario": step.scenario, "group": str(step.group)}
    context.telemetry.set("itkm_clusters", facts["clusters"], **tags)
    context.telemetry.set("itkm_outlier_share", facts["outlier_share"], **tags)
    context.telemetry.set("itkm_label_collapse", float(facts["condition"] != "ok"), **tags)
    if facts["agreement"] is not None:
        context.telemetry.set("itkm_label_agreement", facts["agreement"], **tags)
    return digest, facts


def _prompts(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    (frozen,) = each.of(Kind.FROZEN)
    return train_prompts(
        config=context.config,
        scenarios=context.corpus.scenarios,
        number=number,
        labels=context.places(each, Kind.LABEL),
        features=context.run.step(frozen.name) / "features",
        out=context.run.step(step.name),
        telemetry=context.telemetry,
    )


def _match(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each, config = rounds[number - 1], context.config
    labels = {
        label.group: context.run.step(label.name)
        for label in each.of(Kind.LABEL)
        if label.scenario == step.scenario
    }
    kinds = {other.name: other.kind for one in rounds for other in one.steps}
    texts = frozen = None
    for need in step.needs:
        where = context.run.step(need)
        if kinds[need] is Kind.FROZEN:
            frozen = where / "features"
        if kinds[need] is Kind.PROMPTS:
            texts = {group: Texts(where, Block(step.scenario, group).file_name) for group in labels}
        elif kinds[need] is Kind.MATCH:
            texts = {group: Texts(where, str(group)) for group in labels}
    (extraction,) = each.of(Kind.EXTRACT)
    task = MatchTask(
        scenario=step.scenario,
        labels=labels,
        features=context.run.step(extraction.name) / "features",
        out=context.run.step(step.name),
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


def _evaluate(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    (extraction,) = each.of(Kind.EXTRACT)
    labels = {label.block: context.run.step(label.name) for label in each.of(Kind.LABEL)}
    matches = {match.scenario: context.run.step(match.name) for match in each.of(Kind.MATCH)}
    features = context.run.step(extraction.name) / "features"
    corpus = context.corpus
    inputs = (corpus.root, features, labels, matches, corpus.scenarios)
    result = remote(evaluate, step.title, *inputs, telemetry=context.telemetry)
    (context.run.step(step.name) / "evaluation.json").write_json(result)
    return digest_of(result), result


def _train(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    previous = None
    if number > 1 and rounds[number - 2].stage is each.stage:
        (before,) = rounds[number - 2].of(Kind.TRAIN)
        previous = context.run.step(before.name) / "checkpoint"
    (extraction,) = each.of(Kind.EXTRACT)
    learnt = [prompts for one in rounds[:number] for prompts in one.of(Kind.PROMPTS)]
    return train_round(
        config=context.config,
        corpus=context.corpus,
        source=context.encoder_before(rounds, number),
        number=number,
        labels=context.places(each, Kind.LABEL),
        previous=previous,
        out=context.run.step(step.name),
        telemetry=context.telemetry,
        heterogeneous=each.stage is Stage.HETEROGENEOUS,
        features=context.run.step(extraction.name) / "features",
        matches={match.scenario: context.run.step(match.name) for match in each.of(Kind.MATCH)},
        prompts=context.run.step(learnt[0].name) if learnt else None,
    )


def _line(rounds: Sequence[Round], number: int, step: Step) -> str:
    """What the progress line calls a step; those of one kind share it."""
    return f"{rounds[number - 1].folder} {step.kind}"


_BODIES: dict[Kind, Callable[[RunContext, Sequence[Round], int, Step], Outcome]] = {
    Kind.EXTRACT: _extract,
    Kind.FROZEN: _frozen,
    Kind.LABEL: _label,
    Kind.PROMPTS: _prompts,
    Kind.MATCH: _match,
    Kind.TRAIN: _train,
    Kind.EVALUATE: _evaluate,
}
