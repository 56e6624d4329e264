"""The encoder of `itkm label --corpus`: which one, and what identifies it and its features."""

from __future__ import annotations

from typing import Any

from pipelines.artifacts.run_folder import digest_of
from pipelines.run.steps import RunContext
from pipelines.steps.encoders import WEIGHTS


def encoder_record(context: RunContext) -> dict[str, Any]:
    """What features of other images must share with these to be comparable."""
    config = context.config
    if context.checkpoint is not None:
        weights = digest_of((context.checkpoint / WEIGHTS).read_bytes())
        return {"weights": weights, "extract_precision": config.extract_precision}
    return {
        "model": config.model.model_dump(mode="json"),
        "seed": config.seed,
        "scenario_embedding": config.components.scenario_embedding,
        # A fresh embedding has a row for each, in this order.
        "scenarios": list(context.corpus.scenarios),
        "extract_precision": config.extract_precision,
    }


def encoder_digest(context: RunContext) -> str:
    """What decides the features of a corpus: the encoder, and how it computes."""
    config = context.config
    if context.checkpoint is not None:
        encoder = digest_of((context.checkpoint / WEIGHTS).read_bytes())
    else:
        embedding = config.components.scenario_embedding
        encoder = digest_of([config.model.model_dump(mode="json"), config.seed, embedding])
    return digest_of([encoder, list(context.corpus.scenarios), config.extract_precision])
