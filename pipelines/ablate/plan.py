"""The rows of the ablation and the runs behind them, as overrides of a recipe that `itkm run` accepts too."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from itkm_core.errors import ConfigError
from pipelines.artifacts.run_folder import digest_of
from pipelines.config import RunConfig, load_config

# In the order in which the table adds them: the switch in `components`, and its name in the table.
COMPONENTS = {
    "scenario_embedding": "scenario embedding",
    "text_guidance": "text guidance",
    "separation_loss": "separation loss",
    "chm": "CHM",
    "ihm": "IHM",
    "dru": "DRU",
}
# The only one that acts in Stage I.
_FIRST_STAGE = "scenario_embedding"

BASELINE, LINKS, FULL, SINGLE = "baseline", "links", "full", "single-scenario"
WITHOUT = "without-"


@dataclass(frozen=True)
class Variant:
    """One configuration of the table. `name` is its folder below `runs`; `overrides` follow the user's."""

    name: str
    overrides: tuple[str, ...]

    def with_seed(self, seed: int) -> tuple[str, ...]:
        return (*self.overrides, f"seed={seed}")


@dataclass(frozen=True)
class Row:
    """One line of the table. `variants`: for each scenario, the name of the variant whose run gives its scores."""

    name: str
    title: str
    variants: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """All rows and, by name, the variants they need: rows with the same configuration share a variant.

    reference: the name of the row that gains are measured from: Stage I alone, as long as the full method.
    """

    rows: tuple[Row, ...]
    variants: Mapping[str, Variant]
    reference: str

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def chosen(self, names: Sequence[str]) -> tuple[Row, ...]:
        """The rows with these names, in the table's order, or all if there are none. ConfigError for other names."""
        known = [row.name for row in self.rows]
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise ConfigError(
                f"--rows names {', '.join(unknown)}; the rows for this recipe and corpus are "
                f"{', '.join(known)}"
            )
        return tuple(row for row in self.rows if not names or row.name in names)


def plan_rows(
    recipe: str, overrides: Sequence[str], scenarios: Sequence[str], *, tracklets: bool = False
) -> Plan:
    """The ablation of a recipe, with the user's overrides, on a corpus with these scenarios, and with tracklets or not.

    Cumulative rows, then the full method without each of its components, then training on single scenarios.
    The full method is the recipe as it is: a component that it switches off has no row, nor have links where there
    is nothing to make them of; where there is, all rows but the baseline and one removal use them. All rows have the
    same number of rounds, `homogeneous_rounds + heterogeneous_rounds`, and rows of Stage I alone have as many
    optimizer steps as the others, rounded up to whole steps per round. [ours]

    Raises:
        ConfigError: an invalid recipe or override, or one in which Stage III adds nothing.
    """
    full = load_config(recipe, list(overrides))
    acting = acting_components(full, scenarios)
    if full.heterogeneous_rounds == 0 or not {"text_guidance", "chm", "ihm"} & set(acting):
        raise ConfigError(
            f"nothing to ablate: heterogeneous_rounds is {full.heterogeneous_rounds} and the components "
            f"that act are {', '.join(acting) or 'none'}; expected at least one round of Stage III with "
            "text_guidance, chm or ihm"
        )
    book = _Book(recipe, tuple(overrides))
    known = tracklets or full.links.decisions is not None
    unlinked = ("labels.links=off",) if known and full.labels.links != "off" else ()
    changes = (*_homogeneous(full, ()), *unlinked)
    rows = [book.row(BASELINE, "baseline", changes, scenarios)]
    if unlinked:
        title = "+ links (Stage I only)"
        rows.append(book.row(LINKS, title, _homogeneous(full, ()), scenarios))
    if _FIRST_STAGE in acting:
        changes = _homogeneous(full, (_FIRST_STAGE,))
        title = f"+ {COMPONENTS[_FIRST_STAGE]} (Stage I only)"
        rows.append(book.row(_dashed(_FIRST_STAGE), title, changes, scenarios))
    reference = rows[-1].name
    later = [name for name in acting if name != _FIRST_STAGE]
    for count, name in enumerate(later, start=1):
        changes = _heterogeneous(full, later[count:])
        last = count == len(later)
        title = f"+ {COMPONENTS[name]}" + (" = full method" if last else "")
        rows.append(book.row(FULL if last else _dashed(name), title, changes, scenarios))
    if unlinked:
        changes = (*_heterogeneous(full, ()), *unlinked)
        rows.append(book.row(WITHOUT + LINKS, "full without links", changes, scenarios))
    for name in acting:
        changes = _heterogeneous(full, [name])
        title = f"full without {COMPONENTS[name]}"
        rows.append(book.row(WITHOUT + _dashed(name), title, changes, scenarios))
    if len(scenarios) > 1:
        alone = {}
        for scenario in scenarios:
            changes = (*_heterogeneous(full, ()), f"only={json.dumps([scenario])}")
            folder = f"{SINGLE}/{quote(scenario, safe='')}"
            alone[scenario] = book.variant(folder, changes).name
        rows.append(Row(SINGLE, "full, one scenario a run", alone))
    return Plan(tuple(rows), book.variants, reference)


def acting_components(config: RunConfig, scenarios: Sequence[str]) -> list[str]:
    """The components that have an effect in this configuration: switched on, weighted, with something to act on."""
    parts = config.components
    acts = {
        "scenario_embedding": parts.scenario_embedding and config.model.scenario_scale > 0,
        "text_guidance": config.guides_by_text,
        "separation_loss": config.prompting().separation_weight > 0
        and config.needs_text
        and len(scenarios) > 1,
        "chm": config.matches_clusters,
        "ihm": config.matches_instances,
        "dru": parts.dru and config.needs_text,
    }
    return [name for name in COMPONENTS if acts[name]]


class _Book:
    """Variants by their configuration: each configuration is kept once, under its first name."""

    def __init__(self, recipe: str, user: tuple[str, ...]) -> None:
        self.recipe, self.user = recipe, user
        self.variants: dict[str, Variant] = {}
        self._names: dict[str, str] = {}

    def variant(self, name: str, changes: tuple[str, ...]) -> Variant:
        config = load_config(self.recipe, [*self.user, *changes])
        first = self._names.setdefault(digest_of(config.identity()), name)
        return self.variants.setdefault(first, Variant(first, changes))

    def row(self, name: str, title: str, changes: tuple[str, ...], scenarios: Sequence[str]) -> Row:
        made = self.variant(name, changes).name
        return Row(name, title, {scenario: made for scenario in scenarios})


def _homogeneous(full: RunConfig, on: Sequence[str]) -> tuple[str, ...]:
    """Stage I in all rounds. If rounds of Stage III have other numbers of steps, each round has the mean number."""
    rounds = full.homogeneous_rounds + full.heterogeneous_rounds
    own = full.homogeneous.steps_per_round
    later = full.training(heterogeneous=True).steps_per_round
    steps = math.ceil((full.homogeneous_rounds * own + full.heterogeneous_rounds * later) / rounds)
    changes = [f"homogeneous_rounds={rounds}", "heterogeneous_rounds=0"]
    changes += [f"homogeneous.steps_per_round={steps}"] if steps != own else []
    changes += _off([name for name in COMPONENTS if name not in on], full)
    return (*changes, "evaluate_every_round=false")


def _heterogeneous(full: RunConfig, off: Sequence[str]) -> tuple[str, ...]:
    """The full method without some components. Evaluated in every round, or rows could not share Stage I."""
    return (*_off(off, full), "evaluate_every_round=true")


def _off(names: Sequence[str], full: RunConfig) -> list[str]:
    switched_on = full.components.model_dump()
    return [f"components.{name}=false" for name in names if switched_on[name]]


def _dashed(name: str) -> str:
    return name.replace("_", "-")
