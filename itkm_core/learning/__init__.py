"""Learning from pseudo-labels: the memory, the losses and the stages' trainers.

Names are handed on when they are asked for, so that reading a configuration does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itkm_core.learning.config import (
        HeterogeneousConfig,
        HomogeneousConfig,
        MatchConfig,
        PromptConfig,
        TextUpdateConfig,
    )
    from itkm_core.learning.heterogeneous import StageThree
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.instance_bank import InstanceBank
    from itkm_core.learning.losses import cluster_nce, match_nce
    from itkm_core.learning.memory import ClusterMemory
    from itkm_core.learning.prompt_health import prompt_accuracy, scenario_cosine
    from itkm_core.learning.prompt_learner import PromptLearner, offline_text
    from itkm_core.learning.prompts import PromptStepResult, StageTwo
    from itkm_core.learning.terms import Positives
    from itkm_core.learning.text_update import (
        cluster_text,
        instance_text,
        majority_text,
        text_cluster,
        update_instance_text,
    )
    from itkm_core.learning.trainer import StepResult

__all__ = [
    "ClusterMemory",
    "HeterogeneousConfig",
    "HomogeneousConfig",
    "InstanceBank",
    "MatchConfig",
    "Positives",
    "PromptConfig",
    "PromptLearner",
    "PromptStepResult",
    "StageOne",
    "StageThree",
    "StageTwo",
    "StepResult",
    "TextUpdateConfig",
    "cluster_nce",
    "cluster_text",
    "instance_text",
    "majority_text",
    "match_nce",
    "offline_text",
    "prompt_accuracy",
    "scenario_cosine",
    "text_cluster",
    "update_instance_text",
]

_HOMES = {
    "config": (
        "HeterogeneousConfig",
        "HomogeneousConfig",
        "MatchConfig",
        "PromptConfig",
        "TextUpdateConfig",
    ),
    "heterogeneous": ("StageThree",),
    "homogeneous": ("StageOne",),
    "instance_bank": ("InstanceBank",),
    "losses": ("cluster_nce", "match_nce"),
    "memory": ("ClusterMemory",),
    "prompt_health": ("prompt_accuracy", "scenario_cosine"),
    "prompt_learner": ("PromptLearner", "offline_text"),
    "prompts": ("PromptStepResult", "StageTwo"),
    "terms": ("Positives",),
    "text_update": (
        "cluster_text",
        "instance_text",
        "majority_text",
        "text_cluster",
        "update_instance_text",
    ),
    "trainer": ("StepResult",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
