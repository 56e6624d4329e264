"""From the scores of the runs to means and deviations over seeds, gains, and the effect of each removal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.ablate.plan import BASELINE, FULL, WITHOUT, Plan, Row
from pipelines.ablate.scores import METRICS, Scores

Key = tuple[str, int]
"""A run: the name of its variant, and its seed."""

Result = dict[str, Any]

NEEDED, HARMFUL, UNDECIDED = "needed", "its removal helps", "within the deviation"


def summarise(
    plan: Plan,
    seeds: Sequence[int],
    scenarios: Sequence[str],
    scores: Mapping[Key, Scores],
    failures: Mapping[Key, str],
    asked: Sequence[Row] = (),
) -> Result:
    """The whole table, ready for JSON.

    It has the rows that are asked for or have a score. Every number is `{mean, deviation, values}`: the values of
    the seeds whose runs are complete, by seed, and their sample deviation (divisor n - 1), None for a single seed. A
    mean over scenarios is taken within a seed, and only if every scenario has a value. Gains and changes are
    differences within a seed, so that the seed's effect on both runs cancels.
    """
    table = _Table(plan, tuple(seeds), tuple(scenarios), scores)
    names = {row.name for row in asked}
    rows = [row for row in plan.rows if row.name in names or table.has_scores(row)]
    return {
        "scenarios": list(scenarios),
        "seeds": list(seeds),
        "reference": plan.reference,
        "zero_shot": table.zero_shot(),
        "rows": [
            {
                "name": row.name,
                "title": row.title,
                "scores": {metric: table.numbers(row, metric) for metric in METRICS},
                "gain": table.difference(row, plan.row(plan.reference)),
                "runs": _runs(plan, row, seeds, scores, failures),
            }
            for row in rows
        ],
        "removals": [
            _removal(row, table.difference(row, plan.row(FULL)))
            for row in rows
            if row.name.startswith(WITHOUT)
        ],
    }


class _Table:
    def __init__(
        self,
        plan: Plan,
        seeds: tuple[int, ...],
        scenarios: tuple[str, ...],
        scores: Mapping[Key, Scores],
    ) -> None:
        self.plan, self.seeds, self.scenarios, self.scores = plan, seeds, scenarios, scores

    def has_scores(self, row: Row) -> bool:
        return any(
            (name, seed) in self.scores for name in row.variants.values() for seed in self.seeds
        )

    def value(self, row: Row, metric: str, seed: int, scenario: str) -> float | None:
        run = self.scores.get((row.variants[scenario], seed))
        return None if run is None else run[scenario][metric]

    def numbers(self, row: Row, metric: str) -> Result:
        return self._over(lambda seed, scenario: self.value(row, metric, seed, scenario))

    def difference(self, row: Row, base: Row) -> Result:
        """By how much the mAP of `row` is above that of `base`, and the lowest difference of any scenario and seed."""

        def above(seed: int, scenario: str) -> float | None:
            own = self.value(row, "mean_ap", seed, scenario)
            other = self.value(base, "mean_ap", seed, scenario)
            return None if own is None or other is None else own - other

        found = self._over(above)
        each = [value for one in found["scenarios"].values() for value in one["values"].values()]
        return {**found, "lowest": min(each, default=None)}

    def zero_shot(self) -> Result:
        """mAP before any training: of the baseline, whose encoder is CLIP itself, or else of the first row there is."""
        ordered = sorted(self.plan.rows, key=lambda row: row.name != BASELINE)
        row = next((row for row in ordered if self.has_scores(row)), ordered[0])
        return {"row": row.name, **self.numbers(row, "zero_shot")}

    def _over(self, value: Callable[[int, str], float | None]) -> Result:
        single = {
            scenario: {seed: value(seed, scenario) for seed in self.seeds}
            for scenario in self.scenarios
        }
        average: dict[int, float | None] = {}
        for seed in self.seeds:
            every = [single[scenario][seed] for scenario in self.scenarios]
            known = [one for one in every if one is not None]
            average[seed] = statistics.fmean(known) if len(known) == len(every) else None
        return {
            "average": _number(average),
            "scenarios": {scenario: _number(single[scenario]) for scenario in self.scenarios},
        }


def _number(by_seed: Mapping[int, float | None]) -> Result:
    values = {str(seed): value for seed, value in by_seed.items() if value is not None}
    many = list(values.values())
    return {
        "mean": statistics.fmean(many) if many else None,
        "deviation": statistics.stdev(many) if len(many) > 1 else None,
        "values": values,
    }


def _runs(
    plan: Plan,
    row: Row,
    seeds: Sequence[int],
    scores: Mapping[Key, Scores],
    failures: Mapping[Key, str],
) -> list[Result]:
    runs = []
    for name in dict.fromkeys(row.variants.values()):
        for seed in seeds:
            key = (name, seed)
            status = "done" if key in scores else "failed" if key in failures else "missing"
            run = {"name": name, "seed": seed, "status": status}
            run["overrides"] = list(plan.variants[name].with_seed(seed))
            runs.append(run | ({"error": failures[key]} if status == "failed" else {}))
    return runs


def _removal(row: Row, change: Result) -> Result:
    """How the mAP of the full method changes without one component, and the verdict on the average change."""
    mean, deviation = change["average"]["mean"], change["average"]["deviation"]
    verdict = None
    if mean is not None and deviation is not None:
        verdict = UNDECIDED
        if abs(mean) > deviation:
            verdict = HARMFUL if mean > 0 else NEEDED
    return {"name": row.name, "title": row.title, "change": change, "verdict": verdict}
