from __future__ import annotations

import pytest

from itkm_core.errors import ConfigError
from pipelines.config import RunConfig, load_config, recipe_names


@pytest.mark.parametrize("recipe", recipe_names())
def test_every_recipe_loads(recipe: str) -> None:
    assert isinstance(load_config(recipe), RunConfig)


def test_overrides_reach_nested_keys() -> None:
    config = load_config("tiny", ["labels.eps=0.45", "rounds=7", "homogeneous.lr=1e-4"])
    assert (config.labels.eps, config.rounds, config.homogeneous.lr) == (0.45, 7, 1e-4)


def test_a_scenario_overrides_only_what_it_names() -> None:
    config = load_config("tiny", ["labels.scenarios.uvi.eps=0.3"])
    assert config.labels.for_scenario("uvi")["eps"] == 0.3
    assert config.labels.for_scenario("uvi")["k1"] == config.labels.k1
    assert config.labels.for_scenario("ucc")["eps"] == config.labels.eps


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("labels.epsilon=0.5", "labels.epsilon"),
        ("labels.eps=1.5", "labels.eps"),
        ("labels.eps", "key.sub=value"),
        ("rounds=0", "rounds"),
        ("rounds.deep=1", "not a section"),
        ("labels.k2=40", "above k1"),
        ("labels.scenarios.uvi.k1=2", "labels.scenarios.uvi"),
    ],
)
def test_a_wrong_override_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", [override])


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="tiny"):
        load_config("no-such-recipe")


def test_where_work_runs_is_not_part_of_the_identity() -> None:
    one = load_config("tiny", ["compute.num_workers=1"]).identity()
    two = load_config("tiny", ["compute.num_workers=2"]).identity()
    assert one == two
    assert one != load_config("tiny", ["seed=1"]).identity()
