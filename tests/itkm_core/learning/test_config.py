"""Training configurations refuse wrong values; importing them loads no torch, since every command does it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from itkm_core.learning.config import (
    HeterogeneousConfig,
    HomogeneousConfig,
    PromptConfig,
    TextUpdateConfig,
)


@pytest.mark.parametrize(
    "options", [{"tau": 0.1}, {"temperature": 0}, {"momentum": 2}, {"precision": "fp16"}]
)
def test_wrong_values(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HomogeneousConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"chm": 1}, {"ihm_weight": -1}, {"max_negatives": 0}])
def test_wrong_values_of_stage_three(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HeterogeneousConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{"m": 4}, {"tokens": 0}, {"template": "a person"}, {"template": "{} {}"}, {"temperature": 0}],
)
def test_wrong_values_of_stage_two(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PromptConfig(**options)  # type: ignore[arg-type]


def test_wrong_values_of_the_text_update() -> None:
    with pytest.raises(ValidationError):
        TextUpdateConfig(rho=1.1)


def test_configurations_import_without_torch() -> None:
    program = (
        "import sys; from itkm_core.learning.config import HomogeneousConfig; "
        "import itkm_core.model.tiny, itkm_core.corpus.transforms, itkm_core.corpus.sampling; "
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
