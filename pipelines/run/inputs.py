"""What a step is made from, by digest: this tells whether it is done already, here or in another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itkm_core.corpus.schema import Corpus
from pipelines.artifacts.run_folder import Manifest, digest_of
from pipelines.config import RunConfig
from pipelines.run.dag import Kind, Round, Stage, Step

# What nothing before Stage II reads. A key that is not listed here counts for every step, so forgetting one
# can at worst make a step run again.
_AFTER_STAGE_I: dict[str, Any] = {
    "components": {"text_guidance", "separation_loss", "chm", "ihm", "dru"},
    "prompts": True,
    "text_update": True,
    "matching": True,
    "heterogeneous": True,
    "heterogeneous_rounds": True,
}


def step_inputs(
    config: RunConfig, corpus: Corpus, each: Round, step: Step, done: Mapping[str, Manifest]
) -> dict[str, str]:
    """Digests of everything that determines a step of round `each`: its needs (in `done`), corpus, configuration.

    Only what the step's kind can read of the configuration counts: two runs that differ in Stage III alone
    have the same Stage I. [ours]
    """
    inputs = {need: done[need].digest for need in step.needs}
    return inputs | {"corpus": corpus.digest, "config": digest_of(_read_by(config, each, step))}


def _read_by(config: RunConfig, each: Round, step: Step) -> dict[str, Any]:
    whole = config.identity()
    if step.kind is Kind.MATCH or (step.kind is Kind.TRAIN and each.stage is Stage.HETEROGENEOUS):
        return whole
    read = _without(whole, _AFTER_STAGE_I)
    if step.kind is Kind.PROMPTS:
        read["prompts"] = config.prompting().model_dump(mode="json")
    return read


def _without(values: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in values.items() if keys.get(name) is not True}
    for name, inner in keys.items():
        if inner is not True:
            kept[name] = {key: value for key, value in values[name].items() if key not in inner}
    return kept
