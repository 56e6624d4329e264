from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.errors import ConfigError
from pipelines.config import RunConfig, load_config, recipe_names


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_loads(recipe: str) -> None:
    assert isinstance(load_config(recipe), RunConfig)


def test_overrides_reach_nested_keys() -> None:
    config = load_config("tiny", ["labels.eps=0.45", "homogeneous_rounds=7", "homogeneous.lr=1e-4"])
    assert (config.labels.eps, config.homogeneous_rounds, config.homogeneous.lr) == (0.45, 7, 1e-4)


def test_a_scenario_overrides_only_what_it_names() -> None:
    config = load_config("tiny", ["labels.scenarios.uvi.eps=0.3"])
    assert config.labels.for_scenario("uvi").eps == 0.3
    assert config.labels.for_scenario("uvi").k1 == config.labels.k1
    assert config.labels.for_scenario("ucc").eps == config.labels.eps


def test_eps_may_be_chosen_by_the_labels_in_any_scenario() -> None:
    config = load_config("tiny", ["labels.eps=auto", "labels.scenarios.uvi.eps=0.3"])
    assert config.labels.for_scenario("uvi").eps == 0.3
    assert config.labels.for_scenario("uvi").eps_candidates == ()
    chosen = config.labels.for_scenario("ucc")
    assert (chosen.eps, chosen.eps_candidates[0], len(chosen.eps_candidates)) == ("auto", 0.4, 7)
    assert load_config("tiny", ["labels.scenarios.uvi.eps=auto"]).labels.chooses_eps
    assert not load_config("tiny").labels.chooses_eps


def test_candidates_that_nothing_reads_are_not_part_of_the_identity() -> None:
    other = "labels.eps_candidates=[0.3, 0.4]"
    assert load_config("tiny", [other]).identity() == load_config("tiny").identity()
    auto = load_config("tiny", ["labels.eps=auto"]).identity()
    assert load_config("tiny", ["labels.eps=auto", other]).identity() != auto


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("labels.epsilon=0.5", "labels.epsilon"),
        ("labels.eps=1.5", "labels.eps: .*expected auto, or a Jaccard distance.*got 1.5"),
        ("labels.eps=best", "labels.eps: .*expected auto"),
        ("labels.eps=true", "labels.eps: .*expected auto"),
        ("labels.scenarios.uvi.eps=0", "labels.scenarios.uvi.eps: .*expected auto"),
        ("labels.eps_candidates=[]", "labels.eps_candidates: .*rising"),
        ("labels.eps_candidates=[0.5, 0.4]", "labels.eps_candidates: .*rising"),
        ("labels.eps_candidates=[0.5, 1.0]", "labels.eps_candidates: .*rising"),
        ("labels.eps", "key.sub=value"),
        ("homogeneous_rounds=0", "homogeneous_rounds"),
        ("rounds=3", "rounds"),
        ("homogeneous_rounds.deep=1", "not a section"),
        ("labels.k2=40", "above k1"),
        ("labels.scenarios.uvi.k1=1", "labels.scenarios.uvi"),
    ],
)
def test_a_wrong_override_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", [override])


@pytest.mark.parametrize(
    ("overrides", "text", "matches"),
    [
        ([], True, True),
        (["heterogeneous_rounds=0"], False, False),
        (["components.text_guidance=false"], True, True),
        (["components.text_guidance=false", "matching.image_weight=1"], True, True),
        (
            [
                "components.text_guidance=false",
                "matching.image_weight=1",
                "matching.instance_text=false",
            ],
            False,
            True,
        ),
        (["components.text_guidance=false", "components.chm=false"], True, True),
        (["components.chm=false", "components.ihm=false"], True, False),
        (
            [
                "components.chm=false",
                "components.ihm=false",
                "components.text_guidance=false",
            ],
            False,
            False,
        ),
        (["heterogeneous.chm_weight=0", "heterogeneous.ihm_weight=0"], True, False),
        (
            [
                "heterogeneous.text_weight=0",
                "components.ihm=false",
                "matching.image_weight=1",
            ],
            False,
            True,
        ),
    ],
)
def test_stage_two_and_matching_are_there_where_something_reads_them(
    overrides: list[str], text: bool, matches: bool
) -> None:
    config = load_config("tiny", overrides)
    assert (config.needs_text, config.needs_matches) == (text, matches)


def test_stage_three_has_its_own_rate_and_steps_or_those_of_stage_one() -> None:
    same = load_config("tiny")
    assert same.training(heterogeneous=True) == same.homogeneous
    own = load_config("tiny", ["heterogeneous.lr=1e-6", "heterogeneous.steps_per_round=3"])
    third = own.training(heterogeneous=True)
    assert (third.lr, third.steps_per_round) == (1e-6, 3)
    assert third.temperature == own.homogeneous.temperature
    assert own.training(heterogeneous=False) == own.homogeneous


def test_the_separation_loss_is_a_component() -> None:
    assert load_config("tiny").prompting().separation_weight == 1.0
    off = load_config("tiny", ["components.separation_loss=false"])
    assert off.prompting().separation_weight == 0.0
    assert off.prompting().lr == off.prompts.lr


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="tiny"):
        load_config("no-such-recipe")


def test_where_work_runs_is_not_part_of_the_identity() -> None:
    one = load_config("tiny", ["compute.num_workers=1"]).identity()
    two = load_config("tiny", ["compute.num_workers=2"]).identity()
    assert one == two
    assert one != load_config("tiny", ["seed=1"]).identity()


def test_frozen_patches_are_part_of_the_identity_and_their_absence_is_not() -> None:
    assert "freeze_patches" not in load_config("tiny").identity()["model"]
    assert load_config("tiny", ["model.freeze_patches=true"]).identity()["model"]["freeze_patches"]


def test_so_is_the_chance_that_matches_are_chosen_by() -> None:
    assert "chance" not in load_config("tiny").identity()["matching"]
    assert load_config("tiny", ["matching.chance=0.3"]).identity()["matching"]["chance"] == 0.3


BLOCKS = [("ucc", 0), ("ucc", 1), ("a.b c", 0)]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("colour_free=[uvi/2]", r"colour_free names uvi/2; expected a\.b c/0, ucc/0, ucc/1"),
        ("colour_free=[ucc/1, ucc]", r"colour_free names ucc; expected"),
        ("labels.scenarios.uvc.eps=0.5", r"labels\.scenarios names uvc; expected a\.b c, ucc"),
    ],
)
def test_names_that_a_corpus_has_not_are_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", [override]).check_names(BLOCKS)


def test_names_that_a_shipped_recipe_brings_along_are_no_mistake(tmp_path: Path) -> None:
    load_config("tiny", ["colour_free=[ucc/1]"]).check_names(BLOCKS)
    assert load_config("tiny").colour_free == ("uvi/1",)
    load_config("tiny").check_names(BLOCKS)
    (tmp_path / "own.yaml").write_text("colour_free: [uvi/1]")
    with pytest.raises(ConfigError, match="colour_free names uvi/1"):
        load_config(str(tmp_path / "own.yaml")).check_names(BLOCKS)
    # Nor are those that earlier labels were made with.
    labels = load_config("tiny", ["labels.scenarios.uvi.eps=0.5"]).labels
    load_config("tiny").labelling_as(labels).check_names(BLOCKS)


def test_every_allowed_name_can_be_said() -> None:
    config = load_config("tiny", ["labels.scenarios.a.b c.eps=0.3", "labels.scenarios.x.k1=9"])
    assert config.labels.for_scenario("a.b c").eps == 0.3
    assert config.labels.for_scenario("x").k1 == 9
    config.model_copy(update={"colour_free": ()}).check_names([("a.b c", 0), ("x", 1)])
