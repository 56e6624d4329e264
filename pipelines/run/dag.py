"""The steps of a round and what each waits for: plain data, printed by `itkm dag` and run by engine.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from pipelines.artifacts.blocks import Block


class Kind(StrEnum):
    EXTRACT = "extract"
    FROZEN = "frozen"
    LABEL = "label"
    PROMPTS = "prompts"
    MATCH = "match"
    TRAIN = "train"
    EVALUATE = "evaluate"


class Stage(StrEnum):
    """What a round trains."""

    HOMOGENEOUS = "homogeneous"
    HETEROGENEOUS = "heterogeneous"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Step:
    """A node of the DAG. `name` is also its folder in the run, `needs` names other steps."""

    name: str
    title: str
    kind: Kind
    needs: tuple[str, ...]
    scenario: str = ""
    group: int = -1

    @property
    def block(self) -> Block:
        """What a label step labels."""
        return Block(self.scenario, self.group)


@dataclass(frozen=True)
class Round:
    """The steps of one round, each after the steps it needs.

    The last round trains nothing: it extracts and labels with the finished encoder.
    """

    number: int  # from 1
    folder: str
    stage: Stage
    steps: tuple[Step, ...]
    before: Round | None = field(default=None, repr=False)  # None for the first

    def of(self, kind: Kind) -> list[Step]:
        return [step for step in self.steps if step.kind is kind]

    def one(self, kind: Kind) -> Step:
        """The only step of a kind that a round has once."""
        (step,) = self.of(kind)
        return step

    def back(self) -> Iterator[Round]:
        """This round and all before it, newest first."""
        each: Round | None = self
        while each is not None:
            yield each
            each = each.before


def plan_rounds(
    groups: Sequence[tuple[str, int]],
    homogeneous: int,
    heterogeneous: int = 0,
    *,
    text: bool = True,
    matching: bool = True,
    moving_text: bool = True,
    frozen: bool = False,
    evaluate: str | None = "every",
) -> list[Round]:
    """The DAG of a run: rounds of Stage I, then of Stage III, and a last one that only labels.

    groups: the (scenario, group) pairs with training images.
    text: Stage II runs before the first round of Stage III, and all rounds of Stage III use texts.
    moving_text: the texts follow the labels from round to round (DRU).
    matching: the two groups of a scenario are matched, where it has two.
    frozen: matching also looks at the frozen CLIP's features, which Stage II reads in any case.
    evaluate: "every" round, "ends" (before and after training), or None for a corpus without identities.
    """
    planned: list[Round] = []
    pretrained: Step | None = None  # the frozen CLIP's features
    learnt: Step | None = None  # the prompts
    for number in range(1, homogeneous + heterogeneous + 2):
        stage = _stage(number, homogeneous, heterogeneous)
        folder = "final" if stage is Stage.NOTHING else f"round-{number:03d}"
        before = planned[-1] if planned else None
        trained = _names(before.of(Kind.TRAIN)) if before else ()
        extract = Step(f"{folder}/extract", "extract", Kind.EXTRACT, trained)
        labels = [_label(folder, Block(*each), extract, before) for each in groups]
        steps = [extract, *labels]
        matches: list[Step] = []
        if stage is Stage.HETEROGENEOUS:
            if (text or frozen) and pretrained is None:
                pretrained = Step(f"{folder}/frozen", "frozen", Kind.FROZEN, ())
                steps.append(pretrained)
            if text and learnt is None:
                assert pretrained is not None
                needs = (*_names(labels), pretrained.name)
                learnt = Step(f"{folder}/prompts", "prompts", Kind.PROMPTS, needs)
                steps.append(learnt)
            read = [extract, pretrained] if frozen and pretrained else [extract]
            matches = [
                _match(folder, scenario, read, labels, learnt, before if moving_text else None)
                for scenario in dict.fromkeys(scenario for scenario, _ in groups)
                if text or (matching and sum(name == scenario for name, _ in groups) > 1)
            ]
            steps += matches
        ends = number == 1 or stage is Stage.NOTHING
        if evaluate == "every" or (evaluate == "ends" and ends):
            needs = (extract.name, *_names(labels), *_names(matches))
            steps.append(Step(f"{folder}/evaluate", "evaluate", Kind.EVALUATE, needs))
        if stage is not Stage.NOTHING:
            needs = (*_names(labels), *_names(matches), *trained)
            steps.append(Step(f"{folder}/train", "train", Kind.TRAIN, needs))
        planned.append(Round(number, folder, stage, tuple(steps), before))
    return planned


def _stage(number: int, homogeneous: int, heterogeneous: int) -> Stage:
    if number <= homogeneous:
        return Stage.HOMOGENEOUS
    return Stage.HETEROGENEOUS if number <= homogeneous + heterogeneous else Stage.NOTHING


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(step.name for step in steps)


def _label(folder: str, block: Block, extract: Step, before: Round | None) -> Step:
    # A group that collapses keeps the labels of the round before, so it needs them.
    earlier = [
        step.name for step in (before.of(Kind.LABEL) if before else ()) if step.block == block
    ]
    return Step(
        f"{folder}/label/{block.file_name}",
        f"label[{block.name}]",
        Kind.LABEL,
        (extract.name, *earlier),
        *block,
    )


def _match(
    folder: str,
    scenario: str,
    features: Sequence[Step],
    labels: Sequence[Step],
    learnt: Step | None,
    before: Round | None,
) -> Step:
    own = [step.name for step in labels if step.scenario == scenario]
    moved = [
        step.name for step in (before.of(Kind.MATCH) if before else ()) if step.scenario == scenario
    ]
    texts = () if learnt is None else tuple(moved) or (learnt.name,)
    return Step(
        f"{folder}/match/{quote(scenario, safe='')}",
        f"match[{scenario}]",
        Kind.MATCH,
        (*_names(features), *own, *texts),
        scenario,
    )


def as_text(rounds: Sequence[Round]) -> str:
    """One line per step: its name and what it waits for."""
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
