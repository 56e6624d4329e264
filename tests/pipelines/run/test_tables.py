"""The lines of a run's steps."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from pipelines.artifacts.run_folder import Manifest
from pipelines.run.dag import Kind, Step, plan_rounds
from pipelines.run.tables import print_round, print_step

TRAINING = {"first_loss": 4.0, "loss": 1.5, "images_per_second": 100.0, "start_seconds": 2.0}
PROMPTS = {
    **TRAINING,
    "prompts": 76,
    "own_prompt_share": 0.97,
    "scenario_cosine_before": 0.8,
    "scenario_cosine": 0.12,
}
CLUSTERS = {
    "num_pairs": 40,
    "num_reliable": 32,
    "mutual_share": 0.78,
    "image_text_agreement": 0.25,
}
SIDES = [{"num_images": 30, "mean_size": 6.0}, {"num_images": 10, "mean_size": 6.4}]
LABELS = {
    "images": 10,
    "clusters": 3,
    "outlier_share": 0.1,
    "largest_share": 0.4,
    "agreement": 0.9,
}


def line(kind: Kind, facts: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=400)
    step = Step("round-002/x", "x", kind, ())
    print_step(console, step, Manifest({}, "d", facts, 1.0), False)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        (Kind.FROZEN, {"images": 384, "actors": 2}, ["384 images, 2 encoders"]),
        (
            Kind.PROMPTS,
            PROMPTS,
            [
                "76 prompts",
                "own nearest 97 %",
                "between-scenario cosine 0.80 -> 0.12",
                "loss 4.000",
            ],
        ),
        (
            Kind.MATCH,
            {"text": True, "clusters": CLUSTERS, "instances": SIDES, "warning": ""},
            [
                "40 matched, 32 reliable",
                "78 % mutual best",
                "25 %",
                "6.1 instance positives an image",
            ],
        ),
        (Kind.MATCH, {"text": True, "warning": ""}, ["texts updated\n"]),
        (Kind.LABEL, {**LABELS, "eps": 0.55, "eps_reason": "why"}, ["0.900, eps 0.55 (auto)\n"]),
        (Kind.LABEL, {**LABELS, "eps": 0.55, "eps_reason": ""}, ["agreement 0.900\n"]),
        (Kind.TRAIN, {**TRAINING, "loss": None}, ["no step was left"]),
        (Kind.MATCH, {"text": False, "warning": "uvi: only 3 %."}, ["warning: uvi: only 3 %."]),
    ],
)
def test_a_step_says_what_came_of_it(kind: Kind, facts: dict[str, Any], said: list[str]) -> None:
    shown = line(kind, facts)
    for words in said:
        assert words in shown


def test_one_scenario_has_no_cosine_between_scenarios() -> None:
    shown = line(Kind.PROMPTS, {**PROMPTS, "scenario_cosine": None, "scenario_cosine_before": None})
    assert "cosine" not in shown


def test_the_rounds_line_has_the_matches_where_they_are_scored() -> None:
    _, second, _ = plan_rounds([("uvi", 0), ("uvi", 1)], 1, 1)
    scores = {
        "clusters": {"accuracy": 0.5, "reliable_accuracy": 0.6},
        "instances": [{"image_precision": 0.2}, {"image_precision": None}],
    }
    facts: dict[Kind, dict[str, Any]] = {
        Kind.LABEL: LABELS,
        Kind.TRAIN: TRAINING,
        Kind.EVALUATE: {"matches": {"uvi": scores}},
    }
    manifests = {
        step.name: Manifest({}, "d", facts.get(step.kind, {}), 1.0) for step in second.steps
    }
    console = Console(file=io.StringIO(), width=400)
    print_round(console, second, manifests)
    shown = console.file.getvalue()
    assert "matches right uvi 50.0 (reliable 60.0) instances 20.0/-" in shown
    assert "loss 1.500" in shown
