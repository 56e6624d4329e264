"""One camera's view: its frames, and the box of everyone in them. [ours]"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from itkm_core.synthetic.draw import draw_body, draw_place
from itkm_core.synthetic.light import WORN, Shine, expose
from itkm_core.synthetic.people import Person
from itkm_core.synthetic.pose import Pen, Surface
from itkm_core.synthetic.sample import camera_at, person_in
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.walks import Stand, body, foot

_PILLAR_DEPTH = 0.5
_SOLE = 0.985  # where the sole is, in body lengths from the crown


@dataclass(frozen=True)
class Box:
    """Where a walker is in a frame. Lengths in pixels from the frame's upper left corner; never beyond its edges."""

    left: float
    top: float
    width: float
    height: float
    visible: float
    """Share of the person that is in the frame with nothing before it, 0 to 1."""

    def scaled(self, x: float, y: float) -> Box:
        """The box in a frame that is `x` times as wide and `y` times as high."""
        return Box(self.left * x, self.top * y, self.width * x, self.height * y, self.visible)


class Scene:
    """A camera with the place it looks at. Frames have to be shot one after the other."""

    def __init__(self, config: VideoConfig, scenario: str, group: int, camera: int) -> None:
        world = config.world
        self._config, self._world = config, world
        self._scenario, self._group = scenario, group
        self._camera = camera_at(world, scenario, group, camera)
        self._rng = rng = world.generator("film", scenario, group, camera)
        self._infrared = scenario == "uvi" and group == 1
        self._noise = world.infrared_noise if self._infrared else world.noise
        self._fine = max(2, -(-192 // config.height))
        """Pixels of the map to one of the picture, along each side."""
        height, width = config.height * self._fine, config.width * self._fine
        place = Image.new("L", (width, height), int(Surface.WALL))
        # The floor begins behind the farthest feet.
        horizon = self._camera.horizon * 0.7
        draw_place(ImageDraw.Draw(place), horizon, self._camera.things, height, width)
        self._place = np.asarray(place).astype(np.uint16)
        left = rng.uniform(0.25, 0.7) * width
        self._pillar = slice(round(left), round(left + rng.uniform(0.02, 0.05) * width))
        self._fall = rng.uniform(0.1, 0.5) if self._infrared else rng.uniform(-0.25, 0.25)
        self._phases = rng.uniform(0.0, 2 * math.pi, 4)
        low = scenario == "ucr" and group == 1
        factor = rng.uniform(*world.downscale) if low else 1.0
        self.size = (_even(config.height / factor), _even(config.width / factor))
        """(height, width) of the frames, in pixels."""

    def shoot(
        self, time: float, walkers: Sequence[tuple[int, Stand]]
    ) -> tuple[np.ndarray, list[Box | None]]:
        """A frame.

        Args:
            time: seconds of the camera's clock.
            walkers: index of the person within the scenario, and where they are.

        Returns:
            uint8 [height, width, 3] of `size`, RGB, and each walker's box; None out of view.
        """
        who = [person_in(self._world, self._scenario, person, self._group) for person, _ in walkers]
        surfaces, found = self._arrange(who, [stand for _, stand in walkers])
        picture = expose(
            surfaces,
            who,
            self._camera,
            self._rng,
            size=(self._config.height, self._config.width),
            infrared=self._infrared,
            noise=self._noise,
            shine=self._light(time),
        )
        height, width = self.size
        if (height, width) != picture.shape[:2]:
            small = Image.fromarray(picture).resize((width, height), Image.Resampling.BOX)
            picture = np.asarray(small)
        x, y = width / surfaces.shape[1], height / surfaces.shape[0]
        return picture, [box and box.scaled(x, y) for box in found]

    def _light(self, time: float) -> Shine:
        """Clouds: as far from picture to picture as in `draw_shine`, but slowly."""
        wave = math.sqrt(2.0) * np.sin(
            self._phases + time * 2 * math.pi / np.array([19, 23, 29, 31])
        )
        balance = np.exp(self._camera.drift * wave[1:])
        return Shine(exposure=np.exp(0.12 * wave[0]), balance=balance, fall=self._fall)

    def _arrange(
        self, who: Sequence[Person], stands: Sequence[Stand]
    ) -> tuple[np.ndarray, list[Box | None]]:
        """The map of the frame, as `expose` takes it, and each one's box on it."""
        surfaces = self._place.copy()
        shapes: list[tuple[int, int, np.ndarray]] = [(0, 0, np.zeros((0, 0), bool))] * len(who)
        order = sorted(range(len(who)), key=lambda k: stands[k].depth)
        behind = [k for k in order if stands[k].depth < _PILLAR_DEPTH]
        for k in behind:
            shapes[k] = self._paint(surfaces, who[k], stands[k], k)
        base = round(foot(_PILLAR_DEPTH) * len(surfaces))
        surfaces[:base, self._pillar] = Surface.THING_A
        for k in order[len(behind) :]:
            shapes[k] = self._paint(surfaces, who[k], stands[k], k)
        return surfaces, [_extent(surfaces, k, *shape) for k, shape in enumerate(shapes)]

    def _paint(
        self, surfaces: np.ndarray, person: Person, stand: Stand, number: int
    ) -> tuple[int, int, np.ndarray]:
        """Paint a person over the map. Returns where the left upper corner of their shape is, and the shape."""
        height, width = surfaces.shape
        unit = body(stand.depth) * height * person.height
        rows, columns = math.ceil(1.2 * unit), math.ceil(1.5 * unit)
        pose = replace(stand.pose, scale=unit / (rows * person.height))
        pen = Pen(person, pose, rows, columns)
        draw_body(pen, person, pose)
        drawn = np.asarray(pen.image).astype(np.uint16)
        shape = drawn >= Surface.SKIN
        left = round(stand.x * width - columns / 2)
        top = round(foot(stand.depth) * height - pen.y0 - _SOLE * unit)
        inside = (
            slice(max(0, -top), max(0, min(rows, height - top))),
            slice(max(0, -left), max(0, min(columns, width - left))),
        )
        part = surfaces[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)]
        part[shape[inside]] = (drawn[inside] + WORN * number)[shape[inside]]
        return left, top, shape


def _even(length: float) -> int:
    return 2 * round(length / 2)


def _extent(
    surfaces: np.ndarray, number: int, left: int, top: int, shape: np.ndarray
) -> Box | None:
    """The box around the part of a shape that is on the map."""
    y, x = np.nonzero(shape)
    y, x = y + top, x + left
    on = (y >= 0) & (y < surfaces.shape[0]) & (x >= 0) & (x < surfaces.shape[1])
    if not on.any():
        return None
    whole = len(y)
    y, x = y[on], x[on]
    first = Surface.SKIN + WORN * number
    seen = (surfaces[y, x] >= first) & (surfaces[y, x] < first + WORN)
    low, high = (int(x.min()), int(y.min())), (int(x.max()) + 1, int(y.max()) + 1)
    return Box(*low, high[0] - low[0], high[1] - low[1], float(seen.sum() / whole))
