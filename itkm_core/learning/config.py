"""Configuration of the training stages; importing it costs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HomogeneousConfig(BaseModel):
    """Stage I, METHOD "Stage I". All values are [ours]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.05, gt=0, description="tau of the contrastive loss")
    momentum: float = Field(0.2, ge=0, le=1, description="mu of the cluster memory")
    clusters_per_group: int = Field(16, ge=1, description="P, clusters of each (scenario, group)")
    images_per_cluster: int = Field(4, ge=1, description="Q, images of each cluster")
    steps_per_round: int = Field(200, ge=1, description="optimizer steps in every round")
    lr: float = Field(1e-5, gt=0, description="learning rate after warm-up")
    min_lr_ratio: float = Field(0.01, ge=0, le=1, description="last learning rate / lr")
    warmup_steps: int = Field(
        100, ge=0, description="optimizer steps of linear warm-up, once a run"
    )
    weight_decay: float = Field(
        0.01, ge=0, description="of matrices; never of biases, norms, embeddings"
    )
    max_grad_norm: float | None = Field(
        1.0, gt=0, description="gradient norm cut to this; null: not"
    )
    accumulate: int = Field(
        1, ge=1, description="parts a worker's images are processed in, one by one"
    )
    checkpoint_activations: bool = Field(False, description="less memory, more computing")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16: autocast; memory and loss stay float32"
    )
