"""A run's configuration: typed, closed to unknown keys, made from a recipe and overrides."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from itkm_core.errors import ConfigError
from itkm_core.learning.config import (
    HeterogeneousConfig,
    HomogeneousConfig,
    MatchConfig,
    PromptConfig,
    TextUpdateConfig,
)
from itkm_core.storage.paths import read_bytes, refuse_secrets
from pipelines.config_augmentation import AugmentationConfig
from pipelines.config_labels import LabelConfig, LabelOverride, LinkConfig, Section
from pipelines.yaml_text import parse_yaml

DEFAULT_RECIPE = "tiny"


class ModelConfig(Section):
    """Which CLIP, and how it becomes the image encoder."""

    name: str = "itkm-tiny"
    pretrained: str | None = None
    image_size: tuple[int, int] = (64, 32)
    scenario_scale: float = Field(default=1.0, ge=0)  # alpha, [ours]
    # Both branches of the frontend stay as in CLIP (Li and Gong's PCL-CLIP, arXiv 2310.17218, for one group).
    freeze_patches: bool = False

    @field_validator("pretrained")
    @classmethod
    def _shown_and_kept(cls, place: str | None) -> str | None:
        refuse_secrets(place or "")
        return place


class Components(Section):
    """The parts of the method; each can be left out, as the ablation does."""

    scenario_embedding: bool = True
    text_guidance: bool = True  # L_text
    separation_loss: bool = True  # of the prompts, across scenarios
    chm: bool = True  # cluster-level heterogeneous matching
    ihm: bool = True  # instance-level heterogeneous matching
    dru: bool = True  # dynamic text representation update


class ComputeConfig(Section):
    """Where the work runs. Not part of a run's identity: a resumed run may use other machines."""

    num_workers: int | None = Field(default=None, ge=1)  # training; None: one per GPU, else one
    num_extractors: int | None = Field(default=None, ge=1)  # None: one per GPU, else one per CPU
    gpus_per_worker: float | None = Field(default=None, ge=0)  # None: 1 if the cluster has any
    # For each labelling task that uses one (30,000 images and more, or labels.dbscan=cuml); None: 0.25 if the
    # cluster has any GPU.
    gpus_per_label: float | None = Field(default=None, ge=0)
    cluster_share: float = Field(
        default=1.0, gt=0, le=1
    )  # of the CPUs and GPUs, for runs side by side
    extract_batch: int = Field(default=128, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)  # steps; half a round of the large recipes
    max_failures: int = Field(default=2, ge=0)  # worker losses that one round's training survives


class RunConfig(Section):
    """One run of the pipeline. Printed by `itkm config`."""

    seed: int = Field(default=0, ge=0)
    only: tuple[str, ...] = ()  # scenarios of the corpus to use; empty: all
    homogeneous_rounds: int = Field(default=3, ge=1)  # of Stage I
    heterogeneous_rounds: int = Field(default=3, ge=0)  # of Stage III, with Stage II before them
    extract_precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 if the device has it
    # Labels and matches are made from features without their camera's mean; docs/method.md says what this gains.
    without_camera: bool = False
    components: Components = Components()
    model: ModelConfig = ModelConfig()
    labels: LabelConfig = LabelConfig()
    links: LinkConfig = LinkConfig()
    homogeneous: HomogeneousConfig = HomogeneousConfig()
    prompts: PromptConfig = PromptConfig()
    text_update: TextUpdateConfig = TextUpdateConfig()
    matching: MatchConfig = MatchConfig()
    heterogeneous: HeterogeneousConfig = HeterogeneousConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    colour_free: tuple[str, ...] = ()  # as "uvi/1": groups whose colour means nothing
    evaluate_every_round: bool = True
    compute: ComputeConfig = ComputeConfig()
    # Names that were there before anything was typed. A shipped recipe may name a scenario that a corpus has not.
    _shipped: frozenset[str] = PrivateAttr(default=frozenset())

    def check_names(self, blocks: Collection[tuple[str, int]]) -> None:
        """Check that the scenarios and groups named by the user are among these (scenario, group) pairs.

        Raises:
            ConfigError: one is not, with those there are.
        """
        scenarios = sorted({scenario for scenario, _ in blocks})
        groups = sorted(f"{scenario}/{group}" for scenario, group in blocks)
        for key, names, known in (
            ("labels.scenarios", self.labels.scenarios, scenarios),
            ("colour_free", self.colour_free, groups),
            ("augmentation.scenarios", self.augmentation.scenarios, [*scenarios, *groups]),
        ):
            unknown = sorted(set(names) - set(known) - self._shipped)
            if unknown:
                expected = ", ".join(known) or "none, as there are no scenarios"
                raise ConfigError(f"{key} names {', '.join(unknown)}; expected {expected}")

    def labelling_as(self, labels: LabelConfig, *, without_camera: bool | None = None) -> RunConfig:
        """This configuration with the labelling options of other labels."""
        changes: dict[str, Any] = {"labels": labels}
        if without_camera is not None:
            changes["without_camera"] = without_camera
        copy = self.model_copy(update=changes)
        copy._shipped = self._shipped | labels.scenarios.keys()
        return copy

    @model_validator(mode="after")
    def _k2_within_k1(self) -> RunConfig:
        for name in ("", *self.labels.scenarios):
            own = self.labels.scenarios.get(name, LabelOverride())
            k1, k2 = own.k1 or self.labels.k1, own.k2 or self.labels.k2
            if k1 != "auto" and k2 > k1:
                where = f"labels.scenarios.{name}" if name else "labels"
                raise ValueError(f"{where}: k2 = {k2} is above k1 = {k1}")
        return self

    @property
    def matches_clusters(self) -> bool:
        """Whether Stage III has CHM in it: a weight of 0 leaves a part out like its switch."""
        return self.components.chm and self.heterogeneous.chm_weight > 0

    @property
    def matches_instances(self) -> bool:
        """Whether Stage III has IHM in it."""
        return self.components.ihm and self.heterogeneous.ihm_weight > 0

    @property
    def guides_by_text(self) -> bool:
        """Whether Stage III has the text-guided loss in it."""
        return self.components.text_guidance and self.heterogeneous.text_weight > 0

    @property
    def needs_text(self) -> bool:
        """Whether anything reads texts. If nothing does, there is no Stage II and no DRU."""
        return self.heterogeneous_rounds > 0 and (
            self.guides_by_text
            or (self.matches_clusters and self.matching.image_weight < 1)
            or (self.matches_instances and self.matching.instance_text)
        )

    @property
    def compares_frozen(self) -> bool:
        """Whether the frozen CLIP's features count when clusters are matched."""
        return self.matches_clusters and self.matching.frozen_weight > 0

    @property
    def needs_matches(self) -> bool:
        """Whether the two groups of a scenario are matched."""
        return self.heterogeneous_rounds > 0 and (self.matches_clusters or self.matches_instances)

    def training(self, *, heterogeneous: bool) -> HomogeneousConfig:
        """The trainer's configuration in Stage I, or in Stage III, which may have its own learning rate and steps."""
        own = {"lr": self.heterogeneous.lr, "steps_per_round": self.heterogeneous.steps_per_round}
        changes = {name: value for name, value in own.items() if value is not None}
        return self.homogeneous.model_copy(update=changes if heterogeneous else {})

    def prompting(self) -> PromptConfig:
        """The configuration of Stage II, without the separation loss if that component is off."""
        off = {} if self.components.separation_loss else {"separation_weight": 0.0}
        return self.prompts.model_copy(update=off)

    def identity(self) -> dict[str, Any]:
        """What determines the results: everything except where the work runs and what nothing reads.

        Raises:
            LinkError: the file of decisions, which counts by its contents, cannot be read.
        """
        unread = {"dbscan"}
        for name, read in (
            ("eps_candidates", self.labels.chooses_eps),
            ("k1_candidates", self.labels.chooses_k1),
            ("links", self.labels.links == "off"),
        ):
            if not read:
                unread.add(name)
        found = self.model_dump(mode="json", exclude={"compute": True, "labels": unread})
        # As in a run from before there was a choice.
        if not self.model.freeze_patches:
            del found["model"]["freeze_patches"]
        if self.matching.chance is None:
            del found["matching"]["chance"]
        if not self.augmentation.scenarios:
            del found["augmentation"]["scenarios"]
        if self.links == LinkConfig() or self.labels.links == "off":
            del found["links"]
        elif self.links.decisions is not None:
            from itkm_core.links.decisions import decisions_file

            data = decisions_file(self.links.decisions)
            found["links"]["decisions"] = hashlib.sha256(data).hexdigest()
        return found


def recipe_names() -> list[str]:
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in files("pipelines").joinpath("recipes").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_config(recipe: str = DEFAULT_RECIPE, overrides: list[str] | None = None) -> RunConfig:
    """The configuration of a recipe (a shipped name or a YAML file) with `key.sub=value` overrides.

    Raises:
        ConfigError: no such recipe, an override without `=`, an unknown key or a value out of range.
    """
    shipped = recipe in recipe_names()
    return make_config(_read_recipe(recipe), overrides, name=f"recipe {recipe!r}", trusted=shipped)


def make_config(
    raw: dict[str, Any],
    overrides: list[str] | None = None,
    *,
    name: str = "the configuration",
    trusted: bool = False,
) -> RunConfig:
    """The configuration of keys and values (`raw`, changed in place) with overrides; errors call it `name`.

    trusted: `raw` is known to be valid, and names in it that a corpus has not are no mistake of the user's.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        shipped = _names(raw) if trusted else frozenset()
        for override in overrides or []:
            _apply(raw, override)
        config = RunConfig.model_validate(raw)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc'])) or 'config'}: {item['msg']} (got {item['input']!r})"
            for item in error.errors()
        ]
        raise ConfigError(
            f"{name} with its overrides is not valid:\n  " + "\n  ".join(lines)
        ) from error
    config._shipped = shipped
    return config


def _names(raw: Mapping[str, Any]) -> frozenset[str]:
    """The scenarios and groups that keys and values name which are a valid configuration."""
    config = RunConfig.model_validate(raw)
    return frozenset(
        [*config.colour_free, *config.labels.scenarios, *config.augmentation.scenarios]
    )


def _read_recipe(recipe: str) -> dict[str, Any]:
    if recipe in recipe_names():
        text = files("pipelines").joinpath("recipes", f"{recipe}.yaml").read_bytes()
    else:
        try:
            text = read_bytes(recipe)
        except FileNotFoundError as error:
            raise ConfigError(
                f"no recipe {recipe!r}: expected one of {', '.join(recipe_names())}, or a YAML file"
            ) from error
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"recipe {recipe!r} cannot be read: {why}") from error
    raw = parse_yaml(text, f"recipe {recipe!r}") or {}
    if not isinstance(raw, dict):
        raise ConfigError(
            f"recipe {recipe!r}: expected keys and values, found a {type(raw).__name__}"
        )
    return raw


def _apply(raw: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r}: expected key.sub=value, such as labels.eps=0.5")
    node = raw
    *parents, last = key.split(".")
    if (
        parents[1:2] == ["scenarios"]
        and parents[0] in ("labels", "augmentation")
        and len(parents) > 2
    ):
        parents[2:] = [".".join(parents[2:])]  # a scenario's name may have dots in it
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"override {override!r}: {parent!r} is a value, not a section")
        node = child
    node[last] = parse_yaml(text, f"the value of override {override!r}")
