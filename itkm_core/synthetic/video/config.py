"""What a made-up video is like: who walks, through how many cameras, how big and how crowded. [ours]"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from itkm_core.synthetic.config import SyntheticConfig


class VideoConfig(BaseModel):
    """Parameters of made-up video. The same parameters give the same frames and the same tracks.

    Everyone visits every camera of both groups, `visits` times each, and is in one place at a time. Test people come
    later, once each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: int = Field(default=20, ge=1)
    """Training people, in each scenario."""
    people_test: int = Field(default=10, ge=0)
    """Test people, in each scenario; none of them is a training person."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    scenarios: tuple[str, ...] = ("uvi",)
    cameras: int = Field(default=2, ge=1, le=100)
    """Cameras of each group."""
    visits: int = Field(default=2, ge=1)
    """How often a training person comes by each camera."""
    crowd: float = Field(default=4.0, gt=0.0, le=12.0)
    """How many people are in view at once, on average; fewer where there are too few people."""
    height: int = Field(default=180, ge=72, le=1024)
    """Of a frame, in pixels; people are a third to two thirds of it. The low-resolution group's is less."""
    fps: int = Field(default=10, ge=2, le=60)
    tracker_noise: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of tracks that the tracker breaks in two, and of meetings after which it goes on with each
    other's number."""

    @property
    def width(self) -> int:
        """Of a frame: 16:9, even as encoders need it."""
        return 2 * round(self.height * 8 / 9)

    @property
    def world(self) -> SyntheticConfig:
        """The people and cameras, which are those of pictures with this seed.

        Raises:
            pydantic.ValidationError: an unknown scenario.
        """
        return SyntheticConfig(
            people_train=self.people,
            people_test=self.people_test,
            seed=self.seed,
            scenarios=self.scenarios,
            cameras=self.cameras,
        )
