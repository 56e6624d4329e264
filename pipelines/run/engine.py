"""Runs the DAG: starts every step whose needs are met, and skips those already done.

Ray does the work (steps.py); this file decides what may start and writes the manifests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import ray

from pipelines.artifacts.run_folder import Manifest, digest_of
from pipelines.run.dag import Round, Step
from pipelines.run.inputs import step_inputs
from pipelines.run.steps import RunContext, run_body


def is_finished(context: RunContext, rounds: Sequence[Round]) -> bool:
    """Whether no step of the run is left to do."""
    done: dict[str, Manifest] = {}
    for each in rounds:
        for step in each.steps:
            inputs = step_inputs(context.config, context.corpus, each, step, done)
            manifest = context.run.finished(step.name, inputs)
            if manifest is None:
                return False
            done[step.name] = manifest
    return True


def run_round(
    context: RunContext,
    each: Round,
    *,
    on_done: Callable[[Step, Manifest, bool], None],
) -> dict[str, Manifest]:
    """Run a round to its end, where those before it are done. Returns the manifests of all its steps, by name.

    `on_done(step, manifest, reused)` is called in the caller's thread as each step ends. Steps run in
    threads that only wait for Ray, so Ctrl-C reaches the caller and the first failure ends the round.
    """
    done: dict[str, Manifest] = {}
    for earlier in each.before.back() if each.before else ():
        for step in earlier.steps:
            manifest = context.run.read(step.name)
            if manifest is not None:
                done[step.name] = manifest
    finished: dict[str, Manifest] = {}
    running: dict[Future[Manifest], Step] = {}
    waiting = list(each.steps)
    pool = ThreadPoolExecutor(max_workers=len(waiting), thread_name_prefix="itkm-step")
    try:
        while waiting or running:
            for step in [step for step in waiting if all(need in done for need in step.needs)]:
                waiting.remove(step)
                inputs = step_inputs(context.config, context.corpus, each, step, done)
                manifest = context.run.finished(step.name, inputs)
                if manifest is not None:
                    done[step.name] = finished[step.name] = manifest
                    on_done(step, manifest, True)
                else:
                    running[pool.submit(_run_step, context, each, step, inputs)] = step
            if not running:
                continue
            ended, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in ended:
                step = running.pop(future)
                done[step.name] = finished[step.name] = future.result()
                on_done(step, done[step.name], False)
    finally:
        # A thread that waits for Ray cannot be stopped; its wait ends with the process.
        pool.shutdown(wait=False, cancel_futures=True)
    return finished


def _run_step(context: RunContext, each: Round, step: Step, inputs: dict[str, str]) -> Manifest:
    started = time.time()
    context.run.begin(step.name, inputs)
    digest, facts = run_body(context, each, step)
    return context.run.finish(
        step.name,
        inputs=inputs,
        digest=digest or digest_of(inputs),
        facts={"round": each.number, **facts},
        started=started,
        resources={"cluster": ray.cluster_resources()},
    )
