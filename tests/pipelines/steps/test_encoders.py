"""Where a step's encoder comes from."""

from __future__ import annotations

import contextlib
import platform

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from itkm_core.errors import ConfigError
from itkm_core.model.clip import load_clip
from pipelines.config import load_config
from pipelines.steps.encoders import CPU_BF16, EncoderSource, autocast


@pytest.mark.parametrize("group", [0, 1])
def test_without_scenario_embedding_and_checkpoint_it_is_the_frozen_clip(group: int) -> None:
    """Stage II's image vectors come from here."""
    model = load_config("tiny").model
    source = EncoderSource(model, ("ucc", "uvi"), seed=5, scenario_embedding=False)
    encoder, info = source.load()
    assert not info.scenario_embedding
    images = torch.randn(3, 3, *model.image_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = encoder.eval()(images, torch.full((3,), group), torch.tensor([0, 1, 0]))
        own = F.normalize(load_clip(model.name).model.encode_image(images), dim=-1)
    np.testing.assert_allclose(found.numpy(), own.numpy(), atol=2e-6)


def test_with_scenario_embedding_scenarios_differ() -> None:
    encoder, info = EncoderSource(load_config("tiny").model, ("ucc", "uvi"), seed=5).load()
    assert info.scenario_embedding
    images = torch.zeros(2, 3, *encoder.image_size)
    with torch.inference_mode():
        found = encoder.eval()(images, torch.zeros(2, dtype=torch.int64), torch.tensor([0, 1]))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("has", [(), *((name,) for name in CPU_BF16)])
def test_bf16_is_used_where_the_cpu_has_it(
    has: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(has, True))
    cpu = torch.device("cpu")
    assert isinstance(autocast("auto", cpu), torch.autocast if has else contextlib.nullcontext)
    assert isinstance(autocast("fp32", cpu), contextlib.nullcontext)
    if has:
        assert isinstance(autocast("bf16", cpu), torch.autocast)
    else:
        with pytest.raises(ConfigError, match="no bf16 arithmetic"):
            autocast("bf16", cpu)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have other names")
def test_torch_still_reports_what_bf16_is_decided_by() -> None:
    """A name that torch dropped would read as "not there", and extraction would quietly be slower."""
    missing = set(CPU_BF16) - set(torch.cpu.get_capabilities())
    assert not missing, (
        f"torch {torch.__version__} no longer reports {missing} in torch.cpu.get_capabilities(): "
        "mend CPU_BF16 in pipelines/steps/encoders.py"
    )
