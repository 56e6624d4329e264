"""Where things are in a picture: a person in a pose, drawn as a map of materials. [ours]

The map holds one small integer a pixel (a `Surface`), at `supersample` times the size of the
picture. Light, colour and camera come afterwards (`synthetic_light`), so visible and infrared
pictures share one geometry. Lengths are in units of the person's drawn height; x is measured from
the body's middle line, y from the crown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from itkm_core.corpus.synthetic_people import Person

VIEWS = ("front", "back", "side")


class Surface(IntEnum):
    """What a pixel of the map shows; also the row of the table that gives it light."""

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
    """Draw a pose; `jitter` (1 = default) multiplies how much scale, shift and lean vary."""
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


class _Pen:
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


def _mix(a: tuple[float, float], b: tuple[float, float], t: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _legs(pen: _Pen, person: Person, pose: Pose, hip: float, half: float) -> None:
    thick = 0.052 * person.build**0.8
    stride = pose.stride * (0.11 if pose.view == "side" else 0.045)
    apart = 0.25 * half if pose.view == "side" else 0.5 * half
    boots = 0.4 if person.shoes == "boots" else 0.0
    cover = {"trousers": 1.0, "shorts": 0.48, "skirt": 0.3, "long skirt": 0.3}[person.bottom.kind]
    for side in (-1.0, 1.0):
        top, foot = (side * apart, hip), (side * (apart + stride), 0.965)
        pen.limb(top, foot, thick, 0.62 * thick, Surface.SKIN)
        if boots:
            pen.limb(_mix(top, foot, 1 - boots), foot, 0.85 * thick, 0.75 * thick, Surface.SHOES)
        wide = thick * (1.15 if person.bottom.kind == "shorts" else 1.0)
        hem = 0.72 * thick if cover == 1.0 else wide
        pen.limb(
            top,
            _mix(top, foot, cover * (0.97 - boots * (cover == 1.0) * 0.9)),
            wide,
            hem,
            Surface.BOTTOM,
        )
        toe = 0.03 if pose.view == "side" else 0.0
        pen.oval(foot[0] + toe, 0.975, 0.035 + toe * 0.6, 0.022, Surface.SHOES)
    if "skirt" in person.bottom.kind:
        low = hip + (0.27 if person.bottom.kind == "skirt" else 0.4)
        flare = half * (1.45 if person.bottom.kind == "skirt" else 1.6)
        pen.shape(
            [(-half, hip - 0.03), (half, hip - 0.03), (flare, low), (-flare, low)], Surface.BOTTOM
        )


def _torso(pen: _Pen, person: Person, hip: float, shoulder: float, half: float) -> None:
    hem = hip + {"waist": -0.02, "hip": 0.05, "coat": 0.2}[person.top.hem]
    low = half * (1.25 if person.top.hem == "coat" else 1.0)
    outline = [
        (-0.35 * shoulder, 0.14),
        (0.35 * shoulder, 0.14),
        (shoulder, 0.185),
        (half, hip - 0.08),
        (low, hem),
        (-low, hem),
        (-half, hip - 0.08),
        (-shoulder, 0.185),
    ]
    if person.top.pattern == "plain":
        pen.shape(outline, Surface.TOP)
        return
    cloth = Image.new("L", pen.image.size, int(Surface.TOP))
    stripes, second = ImageDraw.Draw(cloth), int(Surface.TOP_SECOND)
    step = 0.062
    left, right = pen.at(-2 * shoulder, 0)[0], pen.at(2 * shoulder, 0)[0]
    left, right = min(left, right), max(left, right)
    if person.top.pattern in ("striped", "checked"):
        for k in range(10):
            y = pen.at(0, 0.15 + k * step)[1]
            stripes.rectangle((left, y, right, y + 0.48 * step * pen.unit), fill=second)
    if person.top.pattern in ("pinstriped", "checked"):
        for k in range(-5, 6):
            x = pen.at(k * step, 0)[0]
            stripes.rectangle((x, 0, x + 0.42 * step * pen.unit, pen.image.height), fill=second)
    if person.top.pattern == "dotted":
        r = 0.021 * pen.unit
        for k in range(9):
            for j in range(-4, 5):
                x, y = pen.at((j + 0.5 * (k % 2)) * 0.075, 0.18 + k * 0.06)
                stripes.ellipse((x - r, y - r, x + r, y + r), fill=second)
    if person.top.pattern == "two-tone":
        y = pen.at(0, 0.31)[1]
        stripes.rectangle((left, y, right, pen.image.height), fill=second)
    mask = Image.new("1", pen.image.size, 0)
    ImageDraw.Draw(mask).polygon([pen.at(x, y) for x, y in outline], fill=1)
    pen.image.paste(cloth, mask=mask)


def _arms(pen: _Pen, person: Person, pose: Pose, shoulder: float) -> list[tuple[float, float]]:
    thick = 0.034 * person.build**0.8
    side_view = pose.view == "side"
    cover = {"long": 0.9, "short": 0.42, "none": 0.0}[person.top.sleeves]
    hands = []
    for side in (-1.0, 1.0):
        swing = side * pose.swing * 0.1 if side_view else 0.02 * side * (1 + pose.swing)
        start = (0.15 * side * shoulder, 0.21) if side_view else (side * shoulder * 0.95, 0.205)
        hand = (start[0] + swing, 0.5)
        pen.limb(start, hand, thick, 0.75 * thick, Surface.SKIN)
        if cover:
            pen.limb(start, _mix(start, hand, cover), 1.15 * thick, thick, Surface.TOP)
        hands.append(hand)
    return hands


def _bag(
    pen: _Pen,
    person: Person,
    pose: Pose,
    shoulder: float,
    hip: float,
    hands: list[tuple[float, float]],
) -> None:
    bag = Surface.BAG
    if person.bag == "backpack":
        if pose.view == "back":
            pen.shape(
                [
                    (-0.75 * shoulder, 0.2),
                    (0.75 * shoulder, 0.2),
                    (0.8 * shoulder, 0.43),
                    (-0.8 * shoulder, 0.43),
                ],
                bag,
            )
        elif pose.view == "side":
            pen.shape([(-0.04, 0.19), (-0.16, 0.21), (-0.17, 0.42), (-0.05, 0.42)], bag)
        else:
            for s in (-1.0, 1.0):
                pen.limb((s * 0.6 * shoulder, 0.16), (s * 0.62 * shoulder, 0.38), 0.017, 0.017, bag)
    elif person.bag == "handbag":
        x, y = hands[1]
        pen.limb((x, y), (x, y + 0.05), 0.008, 0.008, bag)
        pen.shape(
            [
                (x - 0.055, y + 0.04),
                (x + 0.055, y + 0.04),
                (x + 0.065, y + 0.15),
                (x - 0.065, y + 0.15),
            ],
            bag,
        )
    elif person.bag == "shoulder bag":
        x = 0.9 * shoulder if pose.view != "side" else 0.03
        pen.limb((-0.6 * shoulder, 0.17), (x, hip - 0.05), 0.013, 0.013, bag)
        pen.shape(
            [
                (x - 0.06, hip - 0.06),
                (x + 0.06, hip - 0.06),
                (x + 0.06, hip + 0.06),
                (x - 0.06, hip + 0.06),
            ],
            bag,
        )


def _head(pen: _Pen, person: Person, pose: Pose) -> None:
    rx, ry = 0.052 * person.head, 0.07 * person.head
    y, hair, length = 0.075, Surface.HAIR, person.hair_length
    back = pose.view == "back"
    if length == "long":
        pen.shape([(-1.35 * rx, y), (1.35 * rx, y), (1.5 * rx, 0.215), (-1.5 * rx, 0.215)], hair)
    pen.limb((0, y), (0, 0.16), 0.028, 0.032, Surface.SKIN)
    if length != "bald":
        pen.oval(0, y - 0.012, 1.15 * rx, 1.08 * ry, hair)
    if length == "bun":
        pen.oval(-1.1 * rx if pose.view == "side" else 0, y - 1.15 * ry, 0.5 * rx, 0.4 * ry, hair)
    shift = 0.35 * rx if pose.view == "side" else 0.0
    if not back or length == "bald":
        pen.oval(shift, y + 0.012, 0.9 * rx, 0.85 * ry, Surface.SKIN)
    elif length == "long":
        pen.shape([(-1.3 * rx, y), (1.3 * rx, y), (1.45 * rx, 0.215), (-1.45 * rx, 0.215)], hair)
    if person.hat == "none":
        return
    hat = Surface.HAT
    brow = y - 0.25 * ry
    if person.hat == "beanie":
        pen.oval(0, brow - 0.4 * ry, 1.25 * rx, 0.75 * ry, hat)
        pen.shape(
            [
                (-1.25 * rx, brow - 0.4 * ry),
                (1.25 * rx, brow - 0.4 * ry),
                (1.25 * rx, brow),
                (-1.25 * rx, brow),
            ],
            hat,
        )
        return
    pen.oval(0, brow - 0.3 * ry, 1.15 * rx, 0.6 * ry, hat)
    if person.hat == "wide hat":
        pen.oval(0, brow, 2.3 * rx, 0.22 * ry, hat)
    else:
        reach = 1.1 * rx if pose.view == "side" else 0.0
        pen.oval(reach, brow, 1.25 * rx, 0.2 * ry, hat)


def material_map(
    person: Person,
    pose: Pose,
    horizon: float,
    things: tuple[tuple[float, float, float, float], ...],
    height: int,
    width: int,
) -> np.ndarray:
    """Draw a person before a background.

    Args:
        person: who, in the clothes they are drawn in.
        pose: how they stand.
        horizon: where the floor begins, as a share of the height.
        things: background rectangles (x0, y0, x1, y1), shares of width and height.
        height: of the map, in pixels.
        width: of the map, in pixels.

    Returns:
        uint8 [height, width] of `Surface`.
    """
    pen = _Pen(person, pose, height, width)
    pen.draw.rectangle((0, horizon * height, width, height), fill=int(Surface.FLOOR))
    for k, (xa, ya, xb, yb) in enumerate(things):
        surface = Surface.THING_A if k % 2 == 0 else Surface.THING_B
        pen.draw.rectangle((xa * width, ya * height, xb * width, yb * height), fill=int(surface))
    narrow = 0.66 if pose.view == "side" else 1.0
    shoulder = 0.115 * person.build * narrow
    half = 0.085 * person.build * (0.8 if pose.view == "side" else 1.0)
    hip = 1.0 - person.leg_ratio
    if person.bag == "backpack" and pose.view == "side":
        _bag(pen, person, pose, shoulder, hip, [])
    _legs(pen, person, pose, hip, half)
    if pose.view == "side":
        _torso(pen, person, hip, shoulder, half)
        hands = _arms(pen, person, pose, shoulder)
    else:
        hands = _arms(pen, person, pose, shoulder)
        _torso(pen, person, hip, shoulder, half)
    if not (person.bag == "backpack" and pose.view == "side"):
        _bag(pen, person, pose, shoulder, hip, hands)
    _head(pen, person, pose)
    return np.asarray(pen.image)
