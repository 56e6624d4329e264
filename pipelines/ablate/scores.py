"""The scores of one run of the ablation, read from its manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.artifacts.run_folder import RunFolder
from pipelines.run.dag import Round, Stage
from pipelines.run.tables import evaluation_of
from pipelines.steps.evaluate import headlines

Scores = dict[str, dict[str, float | None]]
"""By scenario: a fraction for each of METRICS, or None if the run has none."""

METRICS = {
    "mean_ap": "mAP",
    "rank_1": "rank-1",
    "zero_shot": "zero-shot mAP",
    "match_accuracy": "cluster matches right",
    "reliable_accuracy": "reliable matches right",
}


def read_scores(run: RunFolder, rounds: Sequence[Round], scenarios: Sequence[str]) -> Scores:
    """The scores of a finished run with these rounds. [ours]: what the means are taken over.

    `mean_ap` and `rank_1`: of the finished encoder, the mean over a scenario's directions of retrieval, g=1 -> g=0
    and g=0 -> g=1 if both groups have query and gallery images; of a protocol, over the first setting of each.
    `zero_shot`: mean_ap before the first step. `match_accuracy`, `reliable_accuracy`: the share of all cluster pairs,
    or of the reliable ones, that are one person in the last round of Stage III.
    """
    before, after = evaluation_of(run, rounds[0]), evaluation_of(run, rounds[-1])
    matched = [each for each in rounds if each.stage is Stage.HETEROGENEOUS]
    last = evaluation_of(run, matched[-1]) if matched else {}
    found: Scores = {}
    for scenario in scenarios:
        clusters = last.get("matches", {}).get(scenario, {}).get("clusters", {})
        found[scenario] = {
            "mean_ap": _mean_direction(after, scenario, "mean_ap"),
            "rank_1": _mean_direction(after, scenario, "rank_1"),
            "zero_shot": _mean_direction(before, scenario, "mean_ap"),
            "match_accuracy": clusters.get("accuracy"),
            "reliable_accuracy": clusters.get("reliable_accuracy"),
        }
    return found


def _mean_direction(evaluation: Mapping[str, Any], scenario: str, key: str) -> float | None:
    rows = [row for row in headlines(evaluation["retrieval"]) if row["scenario"] == scenario]
    scores = [row[key] for row in rows if row[key] is not None]
    return sum(scores) / len(scores) if scores else None
