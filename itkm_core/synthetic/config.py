"""What the synthetic world is like: its size, its seed and how hard it is. [ours]"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field, model_validator

SCENARIOS = ("uvi", "ucc", "ucr")
"""Scenario names of a synthetic corpus: visible-infrared, clothing change, cross-resolution."""

Purpose = Literal["person", "clothes", "camera", "view", "caption", "walk", "film", "tracker"]
_PURPOSES: dict[Purpose, int] = {
    name: number
    for number, name in enumerate(Purpose.__args__)  # type: ignore[attr-defined]
}
_WORLDS = {"people": 0x1DE0, "clip": 0xC11B}


class SyntheticConfig(BaseModel):
    """Parameters of a synthetic corpus. The same parameters give the same bytes.

    The difficulty is such that the embedded CLIP finds some matches across the groups of every
    scenario and leaves some to learn; the card beside its weights has the numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people_train: int = Field(default=60, ge=0)
    """Training people, in each scenario."""
    people_test: int = Field(default=40, ge=0)
    """Test people, in each scenario; none of them is a training person."""
    images: int = Field(default=4, ge=1)
    """Pictures of each person in each group."""
    overlap: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of a group's training people who are in the scenario's other group as well. The others are in one
    group only; each group has `people_train` people in any case, and test people are always in both."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    world: Literal["people", "clip"] = "people"
    """Whose people and cameras: `clip` draws those the embedded CLIP was trained on, which are in no
    other corpus, whatever its seed."""
    scenarios: tuple[str, ...] = SCENARIOS
    height: int = Field(default=64, ge=16, le=1024)
    width: int = Field(default=32, ge=8, le=1024)
    cameras: int = Field(default=4, ge=1, le=100)
    """Cameras of each group; no camera serves two groups."""

    reflectance_from_luminance: float = Field(default=0.4, ge=0.0, le=1.0)
    """How closely infrared reflectance follows the luminance of the colour: 0 not at all, 1 fully."""
    both_garments_changed: float = Field(default=0.25, ge=0.0, le=1.0)
    """Share of people who change both top and bottom in the second group of clothing change; the rest
    change one of the two."""
    downscale: tuple[float, float] = (3.25, 4.0)
    """Range of the low-resolution group's reduction."""
    jpeg_quality: tuple[int, int] = (60, 85)
    """Range of the low-resolution group's JPEG quality."""
    cast: float = Field(default=0.25, ge=0.0, le=1.0)
    """Deviation of the logarithm of a camera's gain, per colour channel."""
    noise: float = Field(default=0.025, ge=0.0, le=1.0)
    """Deviation of a visible pixel's noise, in units of full white."""
    infrared_noise: float = Field(default=0.05, ge=0.0, le=1.0)
    """Deviation of an infrared pixel's noise, in units of full white."""
    pose_jitter: float = Field(default=0.5, ge=0.0, le=3.0)
    """How much scale, place and lean of the person vary from picture to picture."""

    @model_validator(mode="after")
    def _check(self) -> SyntheticConfig:
        unknown = [name for name in self.scenarios if name not in SCENARIOS]
        if unknown or not self.scenarios or len(set(self.scenarios)) != len(self.scenarios):
            raise ValueError(
                f"scenarios is {list(self.scenarios)}; expected some of {list(SCENARIOS)},"
                " each once"
            )
        if self.people_train + self.people_test < 1:
            raise ValueError(
                "people_train and people_test are both 0; expected at least one person"
            )
        if not 1.0 <= self.downscale[0] <= self.downscale[1] <= 8.0:
            raise ValueError(f"downscale is {self.downscale}; expected 1 <= low <= high <= 8")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 95:
            raise ValueError(
                f"jpeg_quality is {self.jpeg_quality}; expected 1 <= low <= high <= 95"
            )
        return self

    @property
    def shared(self) -> int:
        """Training people of a scenario who are in both groups."""
        return round(self.overlap * self.people_train)

    @property
    def people(self) -> int:
        """People in each scenario, training and test together, of either group."""
        return 2 * self.people_train - self.shared + self.people_test

    def people_of(self, group: int) -> Iterator[int]:
        """The people in a group of any scenario, ascending.

        Training people come first: those in both groups, then those in group 0 only. Then test people, and at the end
        training people in group 1 only, so that neither they nor `overlap` change anyone else.
        """
        tested = self.people_train + self.people_test
        if group == 0:
            yield from range(tested)
        else:
            yield from range(self.shared)
            yield from range(self.people_train, tested)
            yield from range(tested, self.people)

    def is_tested(self, person: int) -> bool:
        """Whether a person of a scenario is one of its test people."""
        return self.people_train <= person < self.people_train + self.people_test

    def parameters(self) -> dict[str, Any]:
        """How a corpus is drawn, for its record: as before there was an overlap, if everyone is in both groups."""
        unsaid = {"overlap"} if self.overlap == 1 else set()
        return self.model_dump(mode="json", exclude=unsaid)

    def generator(self, purpose: Purpose, scenario: str, *numbers: int) -> Generator:
        """The generator of one draw, decided by world, seed, purpose, scenario and `numbers`.

        The world is part of every seed, so no two worlds share a person or a camera.
        """
        entropy = [_WORLDS[self.world], self.seed, _PURPOSES[purpose], SCENARIOS.index(scenario)]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([*entropy, *numbers])))
