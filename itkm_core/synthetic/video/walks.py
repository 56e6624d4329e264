"""Who walks through which camera's view, when and along which way. [ours]

A place in the view is (x, depth): x a share of the frame's width, depth 0 far and 1 near.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from itkm_core.synthetic.pose import Pose
from itkm_core.synthetic.video.config import VideoConfig

NIGHT = 43_200.0
"""Seconds from the first group's recording to the second's."""
TEST = 3_600.0
"""Seconds from the recording of the training people to that of the test people."""
_LATER = 1.0  # a camera is switched on this many seconds after the one before it
_OUTSIDE = 0.15  # walks begin and end this far beside the view
_DEPTH = 3.0  # body lengths from depth 0 to depth 1
_SPEED = (0.7, 0.95)  # body lengths a second
_LONGEST = 15.0  # seconds; no walk takes longer, as a test says
_USUAL = 6.5  # seconds that a walk takes on average
_ASPECT = 16 / 9


def body(depth: float) -> float:
    """The average person's height at this depth, as a share of the frame's."""
    return 0.36 + 0.28 * depth


def foot(depth: float) -> float:
    """Where the feet are at this depth, as a share of the frame's height."""
    return 0.62 + 0.36 * depth


@dataclass(frozen=True)
class Stand:
    """Where a walker is at one moment, and how they stand there."""

    x: float
    depth: float
    pose: Pose
    """Its scale and shifts are not used: place and size come from x and depth."""


@dataclass(frozen=True)
class Walk:
    """One person's way through one camera's view.

    Attributes:
        person: index within the scenario.
        entry: when it begins, in seconds of the camera's own clock.
        corners: places (x, depth) that are joined by straight lines.
        speed: body lengths a second.
        lean: as `Pose.lean`.
        phase: of the first step, in radians.
    """

    person: int
    entry: float
    corners: tuple[tuple[float, float], ...]
    speed: float
    lean: float
    phase: float

    @property
    def legs(self) -> list[float]:
        """Length of each line, in body lengths at its middle."""
        lengths = []
        for (xa, da), (xb, db) in zip(self.corners, self.corners[1:], strict=False):
            across = (xb - xa) * _ASPECT / body((da + db) / 2)
            lengths.append(math.hypot(across, _DEPTH * (db - da)))
        return lengths

    @property
    def seconds(self) -> float:
        return sum(self.legs) / self.speed

    def at(self, time: float) -> Stand | None:
        """Where the person is at a time of the camera's clock, None before and after the walk."""
        gone = (time - self.entry) * self.speed
        if gone < 0.0:
            return None
        # Left and right steps, one of each in 0.9 body lengths.
        stride = math.sin(self.phase + gone * 2 * math.pi / 0.9)
        for length, (xa, da), (xb, db) in zip(
            self.legs, self.corners, self.corners[1:], strict=False
        ):
            if gone > length:
                gone -= length
                continue
            share = gone / length
            sideways = abs(xb - xa) * _ASPECT / body((da + db) / 2) > _DEPTH * abs(db - da)
            view = "side" if sideways else "front" if db > da else "back"
            pose = Pose(
                view=view,
                stride=stride,
                swing=-stride,
                lean=self.lean,
                scale=1.0,
                shift_x=0.0,
                shift_y=0.0,
                mirrored=xb < xa,
            )
            return Stand(xa + share * (xb - xa), da + share * (db - da), pose)
        return None


@dataclass(frozen=True)
class Recording:
    """One camera's video: when it starts, in seconds of the clock that all share, and who walks through it."""

    split: str
    """train, query or gallery."""
    start: float
    num_frames: int
    walks: tuple[Walk, ...]


def draw_recordings(
    config: VideoConfig, scenario: str, group: int, *, test: bool = False
) -> list[Recording]:
    """The recordings of a group's cameras, of the training people or of the test people.

    Time goes in turns, and in each a person walks once, through one camera's view: so all leave and come
    back, and nobody is in two places at once. Queries are of one half of the cameras, the gallery of the other.
    """
    people = range(config.people, config.world.people) if test else range(config.people)
    crowded = len(people) / config.cameras * _USUAL / config.crowd
    turn = max(_LONGEST + _LATER * config.cameras, crowded)
    turns = config.cameras * (1 if test else config.visits)
    walks: list[list[Walk]] = [[] for _ in range(config.cameras)]
    rng = config.world.generator("walk", scenario, group, *([1] if test else []))
    places = rng.permutation(len(people))
    for k in range(turns):
        for person, place in zip(people, places, strict=True):
            camera = int(place + k) % config.cameras
            walk = _draw_walk(rng, person)
            # The first turn waits until the last camera is on.
            first = k * turn + (_LATER * config.cameras if k == 0 else 0.0)
            entry = rng.uniform(first, (k + 1) * turn - walk.seconds)
            walks[camera].append(replace(walk, entry=entry - _LATER * camera))
    return [
        Recording(
            split=_split(config, group, camera) if test else "train",
            start=NIGHT * group + TEST * test + _LATER * camera,
            num_frames=math.ceil((turns * turn - _LATER * camera) * config.fps),
            walks=tuple(sorted(mine, key=lambda walk: walk.entry)),
        )
        for camera, mine in enumerate(walks)
    ]


def _split(config: VideoConfig, group: int, camera: int) -> str:
    if config.cameras == 1:  # then it is asked across the groups alone
        return "query" if group == 1 else "gallery"
    return "query" if camera < config.cameras // 2 else "gallery"


def _draw_walk(rng: Generator, person: int) -> Walk:
    """A way across, or one that comes nearer or goes away on its way."""
    edges = (-_OUTSIDE, 1 + _OUTSIDE)
    begin = int(rng.integers(2))
    depth = rng.random()
    if rng.random() < 0.4:
        end = float(np.clip(depth + rng.normal(0.0, 0.15), 0.0, 1.0))
        corners = [(edges[begin], depth), (edges[1 - begin], end)]
    else:
        # At least 0.4 nearer or farther away.
        other = depth + rng.uniform(0.4, 0.6) * (1 if depth < 0.5 else -1)
        other = float(np.clip(other, 0.0, 1.0))
        x = rng.uniform(0.3, 0.7)
        x_then = x + rng.normal(0.0, 0.04)
        corners = [(edges[begin], depth), (x, depth), (x_then, other)]
        corners.append((edges[int(rng.integers(2))], other))
    return Walk(
        person=person,
        entry=0.0,
        corners=tuple(corners),
        speed=rng.uniform(*_SPEED),
        lean=0.01 * rng.normal(),
        phase=rng.uniform(0.0, 2 * math.pi),
    )
