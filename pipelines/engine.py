"""Runs the DAG: starts every step whose needs are met, skips those that are already done.

Ray does the work: extraction is a Ray Data pipeline, each label and evaluation a Ray task, training a
Ray Train job. This file only decides what may start, and writes the manifests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayTaskError

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ItkmError
from pipelines.config import RunConfig
from pipelines.dag import Kind, Round, Step
from pipelines.encoders import EncoderSource
from pipelines.evaluate import evaluate, splits_to_extract
from pipelines.extract import extract
from pipelines.label import GroupTask, label_group
from pipelines.runs import Manifest, RunFolder, digest_of
from pipelines.telemetry import Telemetry
from pipelines.train import train_round

# Digest of the output, and facts. Without a digest the output is named by its inputs, which decide it.
Outcome = tuple[str | None, dict[str, Any]]


@dataclass(frozen=True)
class RunContext:
    """What every step of a run may look at."""

    config: RunConfig
    corpus: Corpus
    run: RunFolder
    telemetry: Telemetry

    def encoder_before(self, rounds: Sequence[Round], number: int) -> EncoderSource:
        """The encoder round `number` starts from: CLIP in round 1, else what the round before trained."""
        checkpoint = None
        if number > 1:
            (train,) = rounds[number - 2].of(Kind.TRAIN)
            checkpoint = self.run.step(train.name) / "checkpoint"
        return EncoderSource(self.config.model, self.corpus.scenarios, self.config.seed, checkpoint)


def run_round(
    context: RunContext,
    rounds: Sequence[Round],
    number: int,
    *,
    on_done: Callable[[Step, Manifest, bool], None],
) -> dict[str, Manifest]:
    """Run one round to its end. Returns the manifests of all its steps, by name.

    `on_done(step, manifest, reused)` is called in the caller's thread as each step ends. Steps run in
    threads that only wait for Ray, so Ctrl-C reaches the caller and the first failure ends the round.
    """
    steps = {step.name: step for step in rounds[number - 1].steps}
    identity = digest_of(context.config.identity())
    done: dict[str, Manifest] = {}
    for earlier in rounds[: number - 1]:
        for step in earlier.steps:
            manifest = context.run.read(step.name)
            if manifest is not None:
                done[step.name] = manifest
    finished: dict[str, Manifest] = {}
    running: dict[Future[Manifest], Step] = {}
    waiting = dict(steps)
    pool = ThreadPoolExecutor(max_workers=len(steps), thread_name_prefix="itkm-step")
    try:
        while waiting or running:
            for step in [s for s in waiting.values() if all(need in done for need in s.needs)]:
                del waiting[step.name]
                inputs = {need: done[need].digest for need in step.needs}
                inputs |= {"corpus": context.corpus.digest, "config": identity}
                manifest = context.run.finished(step.name, inputs)
                if manifest is not None:
                    done[step.name] = finished[step.name] = manifest
                    on_done(step, manifest, True)
                else:
                    running[pool.submit(_run_step, context, rounds, number, step, inputs)] = step
            if not running:
                continue
            ended, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in ended:
                step = running.pop(future)
                done[step.name] = finished[step.name] = future.result()
                on_done(step, done[step.name], False)
    finally:
        # A thread that waits for Ray cannot be stopped; ray.shutdown() by the caller ends its wait.
        pool.shutdown(wait=False, cancel_futures=True)
    return finished


def _run_step(
    context: RunContext,
    rounds: Sequence[Round],
    number: int,
    step: Step,
    inputs: dict[str, str],
) -> Manifest:
    started = time.time()
    digest, facts = _BODIES[step.kind](context, rounds, number, step)
    context.telemetry.set("itkm_step_seconds", time.time() - started, step=step.title)
    return context.run.finish(
        step.name,
        inputs=inputs,
        digest=digest or digest_of(inputs),
        facts={"round": number, **facts},
        started=started,
        resources={"cluster": ray.cluster_resources()},
    )


def _extract(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    splits = splits_to_extract(context.corpus)
    if not rounds[number - 1].of(Kind.EVALUATE):
        splits = ["train"]
    total = sum(n for (_, _, split), n in context.corpus.counts.items() if split in splits)
    context.telemetry.begin(f"{rounds[number - 1].folder} extract", total)
    source = context.encoder_before(rounds, number)
    facts = extract(
        context.corpus,
        source,
        context.config,
        context.run.step(step.name) / "features",
        splits=splits,
        telemetry=context.telemetry,
    )
    return None, {"images": total, **facts}


def _label(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    (extraction,) = each.of(Kind.EXTRACT)
    earlier = [need for need in step.needs if need != extraction.name]
    task = GroupTask(
        corpus_root=context.corpus.root,
        scenario=step.scenario,
        group=step.group,
        features=context.run.step(extraction.name) / "features",
        out=context.run.step(step.name),
        previous=context.run.step(earlier[0]) if earlier else None,
        options=context.config.labels.for_scenario(step.scenario),
    )
    context.telemetry.begin(f"{each.folder} label", 0)
    digest, facts = _remote(label_group, step, task)
    tags = {"scenario": step.scenario, "group": str(step.group)}
    context.telemetry.set("itkm_clusters", facts["clusters"], **tags)
    context.telemetry.set("itkm_outlier_share", facts["outlier_share"], **tags)
    if facts["agreement"] is not None:
        context.telemetry.set("itkm_label_agreement", facts["agreement"], **tags)
    return digest, facts


def _evaluate(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    (extraction,) = each.of(Kind.EXTRACT)
    labels = {
        f"{label.scenario}/{label.group}": context.run.step(label.name)
        for label in each.of(Kind.LABEL)
    }
    features = context.run.step(extraction.name) / "features"
    result = _remote(evaluate, step, context.corpus.root, features, labels)
    (context.run.step(step.name) / "evaluation.json").write_json(result)
    return digest_of(result), result


def _train(context: RunContext, rounds: Sequence[Round], number: int, step: Step) -> Outcome:
    each = rounds[number - 1]
    labels = tuple(context.run.step(label.name) for label in each.of(Kind.LABEL))
    previous = None
    if number > 1:
        (before,) = rounds[number - 2].of(Kind.TRAIN)
        previous = context.run.step(before.name) / "checkpoint"
    context.telemetry.set("itkm_round", number)
    return train_round(
        config=context.config,
        corpus=context.corpus,
        source=context.encoder_before(rounds, number),
        number=number,
        labels=labels,
        previous=previous,
        out=context.run.step(step.name),
        telemetry=context.telemetry,
    )


def _remote(function: Callable[..., Any], step: Step, *args: Any) -> Any:
    """Run `function` as a Ray task named after its step; a user's error comes back as itself."""
    task = ray.remote(function).options(num_cpus=1, name=step.title, max_retries=3)
    try:
        return ray.get(task.remote(*args))
    except RayTaskError as error:
        if isinstance(error.cause, ItkmError):
            raise error.cause from None
        raise


_BODIES: dict[Kind, Callable[[RunContext, Sequence[Round], int, Step], Outcome]] = {
    Kind.EXTRACT: _extract,
    Kind.LABEL: _label,
    Kind.TRAIN: _train,
    Kind.EVALUATE: _evaluate,
}
