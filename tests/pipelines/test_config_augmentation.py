"""Augmentation that differs between scenarios and groups."""

from __future__ import annotations

import pytest

from itkm_core.errors import ConfigError
from pipelines.config import load_config


def test_a_group_overrides_its_scenario_and_that_the_rest() -> None:
    own = [
        "augmentation.flip=0.25",
        "augmentation.scenarios.uvi.channel=0.5",
        "augmentation.scenarios.uvi.pad=0",
        "augmentation.scenarios.uvi/1.channel=0.1",
        "augmentation.scenarios.a.b/0.erase=0.3",
    ]
    found = load_config("tiny", own).augmentation
    blocks = [("uvi", 0), ("uvi", 1), ("ucc", 0), ("a.b", 0), ("a.b", 1)]
    assert [found.of(*block).channel for block in blocks] == [0.5, 0.1, 0, 0, 0]
    assert [found.of(*block).pad for block in blocks] == [0, 0, 10, 10, 10]
    assert [found.of(*block).erase for block in blocks] == [0, 0, 0, 0.3, 0]
    assert {found.of(*block).flip for block in blocks} == {0.25}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("augmentation.scenarios.uvi.channel=2", r"scenarios\.uvi\.channel is 2: Input should be"),
        ("augmentation.scenarios.uvi.hue=0.5", r"scenarios\.uvi\.hue is 0\.5: Extra inputs"),
        ("augmentation.scenarios.uvi=3", r"augmentation\.scenarios\.uvi: Input should be a valid"),
    ],
)
def test_a_wrong_option_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", [override])


def test_a_name_that_the_corpus_has_not_is_refused() -> None:
    blocks = [("uvi", 0), ("uvi", 1)]
    load_config("tiny", ["augmentation.scenarios.uvi/1.flip=0"]).check_names(blocks)
    for name in ("night", "uvi/2"):
        config = load_config("tiny", [f"augmentation.scenarios.{name}.flip=0"])
        with pytest.raises(ConfigError, match=rf"augmentation\.scenarios names {name}; expected"):
            config.check_names(blocks)


def test_a_run_without_any_is_the_one_from_before_there_were_any() -> None:
    plain = load_config("tiny").identity()
    assert "scenarios" not in plain["augmentation"]
    own = load_config("tiny", ["augmentation.scenarios.uvi.channel=0.5"]).identity()
    assert own["augmentation"]["scenarios"] == {"uvi": {"channel": 0.5}}
    assert own != plain
