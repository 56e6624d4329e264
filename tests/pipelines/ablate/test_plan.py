"""The rows of the ablation as configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.errors import ConfigError
from pipelines.ablate.plan import COMPONENTS, Plan, plan_rows
from pipelines.config import RunConfig, load_config, recipe_names

SCENARIOS = ("ucc", "ucr", "uvi")
ROUNDS = ["homogeneous_rounds=2", "heterogeneous_rounds=3"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_rows("tiny", ROUNDS, SCENARIOS)


def config_of(plan: Plan, row: str, scenario: str = "uvi", user: list[str] = ROUNDS) -> RunConfig:
    variant = plan.variants[plan.row(row).variants[scenario]]
    return load_config("tiny", [*user, *variant.with_seed(7)])


def test_the_rows_are_the_papers_table_then_removals_then_single_scenarios(plan: Plan) -> None:
    assert [row.name for row in plan.rows] == [
        "baseline",
        "scenario-embedding",
        "text-guidance",
        "separation-loss",
        "chm",
        "ihm",
        "full",
        *[f"without-{name.replace('_', '-')}" for name in COMPONENTS],
        "single-scenario",
    ]
    assert plan.reference == "scenario-embedding"


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_row_is_a_valid_configuration_of_as_many_rounds(recipe: str) -> None:
    made = load_config(recipe)
    plan = plan_rows(recipe, [], SCENARIOS)
    for variant in plan.variants.values():
        config = load_config(recipe, list(variant.with_seed(7)))
        assert config.seed == 7
        rounds = config.homogeneous_rounds + config.heterogeneous_rounds
        assert rounds == made.homogeneous_rounds + made.heterogeneous_rounds, variant


def test_each_row_adds_one_part_to_the_row_before(plan: Plan) -> None:
    rows = ["baseline", "scenario-embedding", "text-guidance", "separation-loss", "chm", "ihm"]
    on = [config_of(plan, row).components.model_dump() for row in [*rows, "full"]]
    for number, switches in enumerate(on):
        assert [name for name in COMPONENTS if switches[name]] == list(COMPONENTS)[:number]


def test_stage_one_alone_is_the_first_rows_and_no_other(plan: Plan) -> None:
    alone = {row.name for row in plan.rows if not config_of(plan, row.name).heterogeneous_rounds}
    assert alone == {"baseline", "scenario-embedding"}


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_removal_is_the_full_method_less_one_part(plan: Plan, name: str) -> None:
    full, less = config_of(plan, "full"), config_of(plan, f"without-{name.replace('_', '-')}")
    assert less.components.model_dump() == {**full.components.model_dump(), name: False}
    kept = {"components", "evaluate_every_round"}
    assert less.model_dump(exclude=kept) == full.model_dump(exclude=kept)


@pytest.mark.parametrize("decisions", [False, True])
def test_where_something_is_known_of_the_images_links_have_two_rows(
    plan: Plan, decisions: bool, tmp_path: Path
) -> None:
    file = tmp_path / "decisions.csv"
    file.write_text("a,b,verdict\n")
    user = [*ROUNDS, f"links.decisions={file}"] if decisions else ROUNDS
    linked = plan_rows("tiny", user, SCENARIOS, tracklets=not decisions)
    plain = [row.name for row in plan.rows]
    at = plain.index("without-scenario-embedding")
    expected = ["baseline", "links", *plain[1:at], "without-links", *plain[at:]]
    assert [row.name for row in linked.rows] == expected
    for name in expected:
        config = config_of(linked, name, user=user)
        off = name in ("baseline", "without-links")
        assert (config.labels.links == "off") == off
        twin = {"links": "baseline", "without-links": "full"}.get(name, name)
        same = config_of(linked, twin, user=user)
        assert config.model_dump(exclude={"labels"}) == same.model_dump(exclude={"labels"})
    assert linked.reference == plan.reference
    off = plan_rows("tiny", [*user, "labels.links=off"], SCENARIOS, tracklets=True)
    assert [row.name for row in off.rows] == plain


def test_without_tracklets_no_configuration_says_a_word_of_links(plan: Plan) -> None:
    assert not [v for v in plan.variants.values() if "links" in " ".join(v.overrides)]


def test_rows_of_one_configuration_share_their_runs(plan: Plan) -> None:
    assert plan.row("without-dru").variants == plan.row("ihm").variants
    assert len(plan.variants) == 12 + len(SCENARIOS)


def test_a_single_scenario_is_the_full_method_on_one(plan: Plan) -> None:
    for scenario in SCENARIOS:
        config = config_of(plan, "single-scenario", scenario)
        assert config.only == (scenario,)
        assert config.components == config_of(plan, "full").components


def test_rows_that_differ_in_stage_iii_alone_can_share_their_stage_i(plan: Plan) -> None:
    scored = {row.name for row in plan.rows if config_of(plan, row.name).evaluate_every_round}
    assert scored == {row.name for row in plan.rows} - {"baseline", "scenario-embedding"}


def test_stage_one_alone_takes_as_many_steps() -> None:
    user = [*ROUNDS, "homogeneous.steps_per_round=10", "heterogeneous.steps_per_round=21"]
    plan = plan_rows("tiny", user, SCENARIOS)
    alone, full = config_of(plan, "baseline", user=user), config_of(plan, "full", user=user)
    own = full.homogeneous_rounds * 10 + full.heterogeneous_rounds * 21
    steps = alone.homogeneous_rounds * alone.homogeneous.steps_per_round
    assert own <= steps < own + alone.homogeneous_rounds


@pytest.mark.parametrize(
    ("override", "gone"),
    [
        ("components.ihm=false", "IHM"),
        ("heterogeneous.chm_weight=0", "CHM"),
        ("prompts.separation_weight=0", "separation"),
        ("components.scenario_embedding=false", "scenario embedding"),
    ],
)
def test_a_part_that_the_recipe_leaves_out_has_no_row(override: str, gone: str) -> None:
    plan = plan_rows("tiny", [*ROUNDS, override], SCENARIOS)
    assert not [row.title for row in plan.rows if gone in row.title]
    assert plan.rows[0].name == "baseline"
    if "embedding" in gone:
        assert plan.reference == "baseline"


def test_one_scenario_has_neither_separation_nor_a_single_scenario_row() -> None:
    names = {row.name for row in plan_rows("tiny", ROUNDS, ["uvi"]).rows}
    assert not names & {"separation-loss", "without-separation-loss", "single-scenario"}


@pytest.mark.parametrize(
    "user",
    [
        ["heterogeneous_rounds=0"],
        ["components.text_guidance=false", "components.chm=false", "components.ihm=false"],
    ],
)
def test_nothing_to_ablate_is_said(user: list[str]) -> None:
    with pytest.raises(ConfigError, match="nothing to ablate"):
        plan_rows("tiny", user, SCENARIOS)


def test_rows_are_chosen_by_name(plan: Plan) -> None:
    assert [row.name for row in plan.chosen(["full", "baseline"])] == ["baseline", "full"]
    assert plan.chosen([]) == plan.rows
    with pytest.raises(ConfigError, match=r"names dpu; .* baseline, .*single-scenario"):
        plan.chosen(["dpu", "full"])


def test_a_scenarios_name_may_hold_anything() -> None:
    plan = plan_rows("tiny", ROUNDS, ["a/b c", "uvi"])
    name = plan.row("single-scenario").variants["a/b c"]
    assert name == "single-scenario/a%2Fb%20c"
    assert load_config("tiny", list(plan.variants[name].with_seed(0))).only == ("a/b c",)
