"""The steps of a round and what each waits for. Plain data: printed by `itkm dag`, run by engine.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote


class Kind(StrEnum):
    EXTRACT = "extract"
    LABEL = "label"
    TRAIN = "train"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class Step:
    """One node of the DAG. `name` is also its folder in the run, `needs` are names of other steps."""

    name: str
    title: str
    kind: Kind
    needs: tuple[str, ...]
    scenario: str = ""
    group: int = -1


@dataclass(frozen=True)
class Round:
    """The steps of one round, in an order in which each comes after what it needs.

    The round after the last trains nothing: it extracts and labels with the finished encoder.
    """

    number: int
    folder: str
    steps: tuple[Step, ...]

    def of(self, kind: Kind) -> list[Step]:
        return [step for step in self.steps if step.kind is kind]


def plan_rounds(
    groups: Sequence[tuple[str, int]], rounds: int, *, evaluate: str | None = "every"
) -> list[Round]:
    """The DAG of a run: `rounds` rounds that train, and a last one that only labels.

    groups: the (scenario, group) pairs with training images. evaluate: "every" round, "ends" (before
    training and after it), or None where the corpus knows no identities.
    """
    planned: list[Round] = []
    for number in range(1, rounds + 2):
        last = number == rounds + 1
        folder = "final" if last else f"round-{number:03d}"
        before = planned[-1] if planned else None
        extract = Step(
            f"{folder}/extract",
            "extract",
            Kind.EXTRACT,
            tuple(step.name for step in before.of(Kind.TRAIN)) if before else (),
        )
        labels = []
        for scenario, group in groups:
            # A group that collapses keeps the labels of the round before, so it needs them.
            earlier = [
                step.name
                for step in (before.of(Kind.LABEL) if before else ())
                if (step.scenario, step.group) == (scenario, group)
            ]
            labels.append(
                Step(
                    f"{folder}/label/{quote(scenario, safe='')}-{group}",
                    f"label[{scenario}/{group}]",
                    Kind.LABEL,
                    (extract.name, *earlier),
                    scenario,
                    group,
                )
            )
        steps = [extract, *labels]
        names = tuple(step.name for step in labels)
        if evaluate == "every" or (evaluate == "ends" and (last or number == 1)):
            needs = (extract.name, *names)
            steps.append(Step(f"{folder}/evaluate", "evaluate", Kind.EVALUATE, needs))
        if not last:
            earlier_train = tuple(step.name for step in before.of(Kind.TRAIN)) if before else ()
            steps.append(Step(f"{folder}/train", "train", Kind.TRAIN, (*names, *earlier_train)))
        planned.append(Round(number, folder, tuple(steps)))
    return planned


def as_text(rounds: Sequence[Round]) -> str:
    """One line a step: its name and what it waits for."""
    lines = []
    for each in rounds:
        lines.append(each.folder)
        for step in each.steps:
            needs = ", ".join(step.needs) or "the corpus"
            lines.append(f"  {step.title:<20} <- {needs}")
    return "\n".join(lines)


def as_mermaid(rounds: Sequence[Round]) -> str:
    """The same as a mermaid flowchart, for a Markdown page."""
    ids = {step.name: f"s{k}" for k, step in enumerate(s for r in rounds for s in r.steps)}
    lines = ["flowchart LR"]
    for each in rounds:
        lines.append(f'  subgraph {each.folder.replace("-", "_")}["{each.folder}"]')
        lines += [f'    {ids[step.name]}["{step.title}"]' for step in each.steps]
        lines.append("  end")
    for each in rounds:
        lines += [
            f"  {ids[need]} --> {ids[step.name]}" for step in each.steps for need in step.needs
        ]
    return "\n".join(lines)
