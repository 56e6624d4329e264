"""The configuration of Stage II and of the text update."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from itkm_core.learning.config import PromptConfig, TextUpdateConfig


def test_defaults_are_the_methods() -> None:
    config = PromptConfig()
    assert (config.tokens, config.template) == (4, "A photo of a {} person.")
    assert (config.separation_margin, config.separation_weight) == (0.2, 1.0)
    assert TextUpdateConfig().rho == 0.8


@pytest.mark.parametrize(
    "options",
    [{"m": 4}, {"tokens": 0}, {"template": "a person"}, {"template": "{} {}"}, {"temperature": 0}],
)
def test_wrong_values(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PromptConfig(**options)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        TextUpdateConfig(rho=1.1)
