"""How a person stands in a picture, and the pen that draws them there. [ours]

A picture is first drawn as a map: one small integer a pixel (a `Surface`). Lengths are in units of
the person's drawn height; x is measured from the body's middle line, y from the crown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from itkm_core.synthetic.people import Person


class Surface(IntEnum):
    """What a pixel of the map shows; also the row of the table that gives it light.

    Overlapping parts of one garment are separate surfaces, so that a seam can be drawn.
    """

    WALL = 0
    FLOOR = 1
    THING_A = 2
    THING_B = 3
    SKIN = 4
    HAIR = 5
    TOP = 6
    TOP_SECOND = 7
    BOTTOM = 8
    SHOES = 9
    BAG = 10
    HAT = 11
    SLEEVE = 12
    OTHER_LEG = 13


@dataclass(frozen=True)
class Pose:
    """How a person stands in one picture. `scale` and shifts are shares of the picture's height."""

    view: str
    stride: float
    swing: float
    lean: float
    scale: float
    shift_x: float
    shift_y: float
    mirrored: bool


def draw_pose(rng: Generator, jitter: float) -> Pose:
    """Draw a pose; `jitter` multiplies how much scale, shift and lean vary."""
    u = rng.random()
    n = rng.normal(0.0, jitter, 4)
    return Pose(
        view="front" if u < 0.36 else "back" if u < 0.66 else "side",
        stride=float(rng.uniform(-1.0, 1.0)),
        swing=float(rng.uniform(-1.0, 1.0)),
        lean=float(0.02 * n[0]),
        scale=float(np.clip(0.9 + 0.035 * n[1], 0.7, 1.1)),
        shift_x=float(np.clip(0.025 * n[2], -0.1, 0.1)),
        shift_y=float(np.clip(0.02 * n[3], -0.08, 0.08)),
        mirrored=bool(rng.random() < 0.5),
    )


class Pen:
    """Draws shapes given in body lengths on the map."""

    def __init__(self, person: Person, pose: Pose, height: int, width: int) -> None:
        self.image = Image.new("L", (width, height), int(Surface.WALL))
        self.draw = ImageDraw.Draw(self.image)
        self.unit = height * pose.scale * person.height
        self.sign = -1.0 if pose.mirrored else 1.0
        self.x0 = width / 2 + pose.shift_x * height
        self.y0 = height * (0.5 + pose.shift_y) - self.unit / 2
        self.lean = pose.lean

    def at(self, x: float, y: float) -> tuple[float, float]:
        x = self.sign * x + self.lean * (0.5 - y)
        return self.x0 + x * self.unit, self.y0 + y * self.unit

    def shape(self, points: list[tuple[float, float]], surface: Surface) -> None:
        self.draw.polygon([self.at(x, y) for x, y in points], fill=int(surface))

    def box(self, x0: float, y0: float, x1: float, y1: float, surface: Surface) -> None:
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], surface)

    def oval(self, x: float, y: float, rx: float, ry: float, surface: Surface) -> None:
        cx, cy = self.at(x, y)
        rx, ry = rx * self.unit, ry * self.unit
        self.draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=int(surface))

    def limb(
        self, start: tuple[float, float], end: tuple[float, float], w0: float, w1: float, s: Surface
    ) -> None:
        """A tapering bar with a round far end, `w0` and `w1` being its half widths."""
        (xa, ya), (xb, yb) = start, end
        dx, dy = xb - xa, yb - ya
        norm = max((dx * dx + dy * dy) ** 0.5, 1e-6)
        nx, ny = -dy / norm, dx / norm
        self.shape(
            [
                (xa + nx * w0, ya + ny * w0),
                (xb + nx * w1, yb + ny * w1),
                (xb - nx * w1, yb - ny * w1),
                (xa - nx * w0, ya - ny * w0),
            ],
            s,
        )
        self.oval(xb, yb, w1, w1, s)
