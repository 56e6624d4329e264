"""Reading a training configuration must stay cheap: command lines do it before anything else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from itkm_core.learning.config import HeterogeneousConfig, HomogeneousConfig, MatchConfig


def test_defaults_are_the_methods() -> None:
    config = HomogeneousConfig()
    assert (config.temperature, config.momentum) == (0.05, 0.2)
    assert (config.clusters_per_group, config.images_per_cluster) == (16, 4)
    added = HeterogeneousConfig()
    assert (added.chm_weight, added.ihm_weight, added.text_weight) == (1, 1, 1)
    assert (added.text_temperature, added.max_negatives) == (0.05, 8192)
    match = MatchConfig()
    assert (match.image_weight, match.quantile, match.k) == (0.5, 0.2, 20)
    assert (match.dense_limit, match.candidates) == (5000, 50)


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


def test_configurations_import_without_torch() -> None:
    program = (
        "import sys; from itkm_core.learning.config import HomogeneousConfig; "
        "import itkm_core.model.tiny, itkm_core.corpus.transforms, itkm_core.corpus.sampling; "
        "sys.exit('torch' in sys.modules or 'open_clip' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
