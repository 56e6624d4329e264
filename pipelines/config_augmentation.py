"""The section of a run's configuration that says how pictures are augmented."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError, model_validator

from itkm_core.corpus.transforms import Augmentation


class AugmentationConfig(Augmentation):
    """Options of all pictures, and other ones of a scenario ("uvi") or of one of its groups ("uvi/0")."""

    scenarios: dict[str, dict[str, Any]] = Field(default={})

    @model_validator(mode="after")
    def _valid(self) -> AugmentationConfig:
        for name, own in self.scenarios.items():
            try:
                Augmentation(**{**self._shared(), **own})
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, ("scenarios", name, *first["loc"])))
                raise ValueError(f"{where} is {first['input']!r}: {first['msg']}") from error
        return self

    def of(self, scenario: str, group: int) -> Augmentation:
        """What the pictures of one block are augmented with."""
        own = [self.scenarios.get(name, {}) for name in (scenario, f"{scenario}/{group}")]
        return Augmentation(**{**self._shared(), **own[0], **own[1]})

    def _shared(self) -> dict[str, Any]:
        return self.model_dump(exclude={"scenarios"})
