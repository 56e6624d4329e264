"""The sections of a run's configuration that say how images are labelled."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from itkm_core.storage.paths import refuse_secrets

if TYPE_CHECKING:
    from itkm_core.clustering.options import LabelOptions


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _auto_or_number(value: Any) -> Any:
    """One message for a value that is neither; pydantic's union would give one for each type."""
    if value is None or value == "auto":
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < 1:
        raise ValueError("expected auto, or a Jaccard distance above 0 and below 1")
    return number


def _auto_or_length(value: Any) -> Any:
    """As `_auto_or_number`, for k1."""
    if value is None or value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("expected auto, or an integer of at least 1")
    return value


Eps = Annotated[float | Literal["auto"], BeforeValidator(_auto_or_number)]


def _off(value: Any) -> Any:
    """YAML reads a plain `off` as false."""
    return "off" if value is False else value


AutoOrOff = Annotated[Literal["auto", "off"], BeforeValidator(_off)]
K1 = Annotated[int | Literal["auto"], BeforeValidator(_auto_or_length)]


class LabelOverride(Section):
    """Labelling options of one scenario; None keeps the run's value."""

    k1: K1 | None = None
    k2: int | None = Field(default=None, ge=1)
    eps: Eps | None = None
    min_samples: int | None = Field(default=None, ge=1)


class LabelConfig(Section):
    """k-reciprocal Jaccard DBSCAN, the same in every round."""

    k1: K1 = 30  # auto: of k1_candidates, with k2 a fifth of it; needs tracklets
    k1_candidates: tuple[int, ...] = (4, 6, 8, 12, 20, 30)  # [ours]
    k2: int = Field(default=6, ge=1)
    eps: Eps = 0.6  # auto: of eps_candidates, chosen in every round and group
    eps_candidates: tuple[float, ...] = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)  # [ours]
    min_samples: int = Field(default=4, ge=1)
    # How neighbours are found. auto: exact below 200,000 images in a group, ivf from there on; docs/labelling.md.
    backend: Literal["auto", "faiss-flat", "torch", "ivf"] = "auto"
    recall: float = Field(default=0.99, gt=0, le=1)  # of ivf [ours]
    dbscan: Literal["sparse", "cuml"] = (
        "sparse"  # cuml if a GPU can hold the dense matrix; same labels
    )
    # auto: what tracklets and `links.decisions` say of the images holds, where there is any; off: it is not used,
    # in batches either.
    links: AutoOrOff = "auto"
    scenarios: dict[str, LabelOverride] = {}

    @field_validator("k1_candidates")
    @classmethod
    def _rising_lengths(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if not values or any(a >= b for a, b in pairwise((0, *values))):
            raise ValueError("expected rising integers of at least 1")
        return values

    @field_validator("eps_candidates")
    @classmethod
    def _rising(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        rising = all(a < b for a, b in pairwise((0.0, *values, 1.0)))
        if not values or not rising:
            raise ValueError("expected rising Jaccard distances above 0 and below 1")
        return values

    def for_scenario(self, scenario: str) -> LabelOptions:
        """What one scenario is labelled with; `eps_candidates` only where eps is "auto"."""
        from itkm_core.clustering.options import LabelOptions

        own = self.scenarios.get(scenario, LabelOverride()).model_dump(exclude_none=True)
        values = {**self.model_dump(exclude={"scenarios", "links"}), **own}
        if values["eps"] != "auto":
            del values["eps_candidates"]
        if values["k1"] == "auto":
            values["k1"] = self.k1_candidates[-1]
            values["k2"] = min(values["k2"], values["k1"])  # which nothing reads
        else:
            del values["k1_candidates"]
        return LabelOptions(**values)

    @property
    def chooses_eps(self) -> bool:
        """Whether eps is chosen by the labels anywhere."""
        return "auto" in (self.eps, *(own.eps for own in self.scenarios.values()))

    @property
    def chooses_k1(self) -> bool:
        """Whether k1 is chosen by the labels anywhere."""
        return "auto" in (self.k1, *(own.k1 for own in self.scenarios.values()))


class LinkConfig(Section):
    """What is known of the images beside their pixels."""

    decisions: str | None = None  # a CSV of a, b, verdict (same or different); docs/labelling.md
    alone: int = Field(default=4, ge=1)  # images of a unit that is a cluster by itself [ours]

    @field_validator("decisions")
    @classmethod
    def _shown_and_kept(cls, place: str | None) -> str | None:
        refuse_secrets(place or "")
        return place
