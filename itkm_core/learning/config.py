"""Configuration of the training stages; importing it does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class HomogeneousConfig(BaseModel):
    """Stage I (docs/definition.md, "Stage I"). All values are [ours]."""

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
        1.0, gt=0, description="clip the gradient norm to this; null disables"
    )
    accumulate: int = Field(
        1, ge=1, description="parts that a worker's images are split into, processed one by one"
    )
    checkpoint_activations: bool = Field(False, description="less memory, more computation")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16: autocast; memory and loss stay float32"
    )


class HeterogeneousConfig(BaseModel):
    """What Stage III adds to Stage I (docs/definition.md, "Stage III"). All values are [ours].

    Temperature and batches are those of Stage I. A weight of 0 leaves the term out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    chm_weight: float = Field(1.0, ge=0, description="l_c, of cluster-level matching")
    ihm_weight: float = Field(1.0, ge=0, description="l_i, of instance-level matching")
    text_weight: float = Field(1.0, ge=0, description="l_t, of the text-guided loss")
    text_temperature: float = Field(0.05, gt=0, description="tau_t of the text-guided loss")
    instance_momentum: float = Field(0.2, ge=0, le=1, description="mu of the instance bank")
    max_negatives: int = Field(
        8192, ge=1, description="rows of the opposite bank an image is contrasted with"
    )
    lr: float | None = Field(
        None, gt=0, description="learning rate after warm-up; null: same as Stage I"
    )
    steps_per_round: int | None = Field(
        None, ge=1, description="optimizer steps in every round; null: same as Stage I"
    )


class MatchConfig(BaseModel):
    """Matching of a scenario's two groups (docs/definition.md, "CHM", "IHM"). All values are [ours]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="beta: weight of images in a cluster affinity; the rest is text",
    )
    frozen_weight: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the frozen CLIP in a cluster's images; docs/method.md",
    )
    quantile: float = Field(
        0.2, ge=0, le=1, description="q: matches below this quantile of affinity are not reliable"
    )
    chance: float | None = Field(
        None,
        ge=0,
        le=1,
        description="reliable matches stand out so far that strangers would as often as this; null: by quantile",
    )
    mutual_only: bool = Field(
        False, description="reliable matches must be each other's best; docs/method.md"
    )
    dense_limit: int = Field(
        5000, ge=1, description="from this many clusters on a side, use sparse candidates"
    )
    candidates: int = Field(50, ge=1, description="nearest opposite clusters that are candidates")
    k: int = Field(20, ge=1, description="nearest opposite images, in image and in text space")
    instance_text: bool = Field(
        True, description="an image's positives must be neighbours in text space too"
    )
    instance_mutual_only: bool = Field(
        False, description="positives must be mutual; docs/method.md"
    )
    num_hard: int = Field(
        128, ge=1, description="nearest opposite images kept as negatives of an image, large banks"
    )


class PromptConfig(BaseModel):
    """Stage II (docs/definition.md, "Stage II"). M, the template and the frozen CLIP are the paper's, the
    rest is [ours]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(4, ge=1, description="M, learnt token embeddings of each cluster")
    template: str = Field(
        "A photo of a {} person.", description="{} is replaced by the learnt tokens"
    )
    init_std: float = Field(0.02, ge=0, description="learnt tokens start as N(0, this squared)")
    temperature: float | None = Field(
        0.1, gt=0, description="of the image-text losses; null: as the CLIP was trained"
    )
    separation_margin: float = Field(
        0.2, ge=-1, le=1, description="m, texts with a cosine below it are far enough apart"
    )
    separation_weight: float = Field(
        1.0, ge=0, description="of keeping the texts of different scenarios apart; 0 disables"
    )
    clusters_per_group: int = Field(16, ge=1, description="P, clusters of each (scenario, group)")
    images_per_cluster: int = Field(4, ge=1, description="Q, images of each cluster")
    steps: int = Field(400, ge=1, description="optimizer steps of the stage")
    lr: float = Field(1e-2, gt=0, description="learning rate after warm-up")
    min_lr_ratio: float = Field(0.01, ge=0, le=1, description="last learning rate / lr")
    warmup_steps: int = Field(20, ge=0, description="optimizer steps of linear warm-up")
    weight_decay: float = Field(0.0, ge=0, description="of the tokens of the batch's clusters")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16: autocast of the text encoder; tokens and losses stay float32"
    )

    @field_validator("template")
    @classmethod
    def _one_place(cls, template: str) -> str:
        if template.count("{}") != 1:
            raise ValueError(f"template is {template!r}; expected exactly one {{}}")
        return template


class TextUpdateConfig(BaseModel):
    """Dynamic text representation update (docs/definition.md, "DRU"). All values are [ours]."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rho: float = Field(0.8, ge=0, le=1, description="share of an image's text that is kept")
