"""Learning from pseudo-labels: the memory, the losses and the stages' trainers.

Names are handed on when they are asked for, so that reading a configuration does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itkm_core.learning.config import HomogeneousConfig
    from itkm_core.learning.homogeneous import StageOne, StepResult
    from itkm_core.learning.losses import cluster_nce
    from itkm_core.learning.memory import ClusterMemory

__all__ = ["ClusterMemory", "HomogeneousConfig", "StageOne", "StepResult", "cluster_nce"]

_HOMES = {
    "config": ("HomogeneousConfig",),
    "homogeneous": ("StageOne", "StepResult"),
    "losses": ("cluster_nce",),
    "memory": ("ClusterMemory",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
