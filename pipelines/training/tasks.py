"""What each worker of a training job is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from itkm_core.learning.config import HomogeneousConfig
from itkm_core.storage.place import Place
from pipelines.config import RunConfig
from pipelines.steps.encoders import EncoderSource
from pipelines.telemetry.handle import Telemetry


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """What one worker of a training stage needs, small enough to send."""

    kind: ClassVar[str]  # of the step

    corpus_root: str
    config: RunConfig
    scenarios: tuple[str, ...]  # in the order of their numbers
    number: int  # of the round, from 1
    labels: tuple[Place, ...]  # label steps, in the order of the plan's blocks
    out: Place
    telemetry: Telemetry
    threads: int = 1
    asked: float = 0.0  # time.time() when the driver asked for the workers

    @property
    def stage(self) -> int:
        """The stage of the method: 1, 2 or 3."""
        raise NotImplementedError

    @property
    def run_name(self) -> str:
        """What the dashboard's Train page calls the job, such as `round-002-train-stage-3`."""
        return f"round-{self.number:03d}-{self.kind}-stage-{self.stage}"

    def __str__(self) -> str:
        """Ray Train shows a job's configuration as text; this keeps it short, and leaves places out."""
        return self.run_name


@dataclass(frozen=True, kw_only=True)
class TrainTask(WorkerTask):
    """What one worker of a round's training needs. The last four are for Stage III."""

    kind: ClassVar[str] = "train"

    source: EncoderSource
    previous: Place | None  # checkpoint of the round before, of the same stage
    heterogeneous: bool = False
    features: Place | None = None  # of this round's extraction
    matches: Mapping[str, Place] = field(default_factory=dict)  # match steps by scenario
    prompts: Place | None = None

    @property
    def stage(self) -> int:
        return 3 if self.heterogeneous else 1

    @property
    def training(self) -> HomogeneousConfig:
        """The trainer's configuration in this stage."""
        return self.config.training(heterogeneous=self.heterogeneous)


@dataclass(frozen=True, kw_only=True)
class PromptsTask(WorkerTask):
    """What one worker of Stage II needs."""

    kind: ClassVar[str] = "prompts"

    features: Place  # of the frozen CLIP

    @property
    def stage(self) -> int:
        return 2
