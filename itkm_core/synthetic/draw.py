"""Where things are in a picture: a posed person in front of a background, as a map of materials. [ours]

Light, colour and camera come afterwards (`synthetic_light`), so visible and infrared pictures share
one geometry. Lengths are as in `synthetic_pose`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from itkm_core.synthetic.people import Person
from itkm_core.synthetic.pose import Pen, Pose, Surface


def _mix(a: tuple[float, float], b: tuple[float, float], t: float) -> tuple[float, float]:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _legs(pen: Pen, person: Person, pose: Pose, hip: float, half: float) -> None:
    kind = person.bottom.kind
    thick = 0.05 * person.build**0.8
    stride = pose.stride * (0.12 if pose.view == "side" else 0.03)
    apart = 0.2 * half if pose.view == "side" else 0.58 * half
    cover = {"trousers": 0.86 if person.shoes == "boots" else 0.96, "shorts": 0.45}.get(kind, 0.0)
    for side, cloth in ((-1.0, Surface.OTHER_LEG), (1.0, Surface.BOTTOM)):
        top, foot = (side * apart, hip), (side * (apart + stride), 0.965)
        pen.limb(top, foot, 0.8 * thick, 0.55 * thick, Surface.SKIN)
        if person.shoes == "boots":
            pen.limb(_mix(top, foot, 0.7), foot, 0.75 * thick, 0.7 * thick, Surface.SHOES)
        if cover:
            knee = 1.3 * thick if kind == "shorts" else 0.85 * thick
            pen.limb(top, _mix(top, foot, cover), 1.15 * thick, knee, cloth)
        toe = 0.03 if pose.view == "side" else 0.0
        pen.oval(foot[0] + toe, 0.975, 0.035 + toe * 0.6, 0.022, Surface.SHOES)
    if not cover:
        low, flare = (hip + 0.24, 1.7 * half) if kind == "skirt" else (0.93, 1.9 * half)
        outline = [(-half, hip - 0.03), (half, hip - 0.03), (flare, low), (-flare, low)]
        pen.shape(outline, Surface.BOTTOM)


def _torso(pen: Pen, person: Person, hip: float, shoulder: float, half: float) -> None:
    hem = hip + {"waist": -0.02, "hip": 0.05, "coat": 0.17}[person.top.hem]
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


def _arms(pen: Pen, person: Person, pose: Pose, shoulder: float) -> list[tuple[float, float]]:
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
            pen.limb(start, _mix(start, hand, cover), 1.2 * thick, 1.05 * thick, Surface.SLEEVE)
        hands.append(hand)
    return hands


def material_map(
    person: Person,
    pose: Pose,
    horizon: float,
    things: tuple[tuple[float, float, float, float], ...],
    height: int,
    width: int,
) -> np.ndarray:
    """Draw a person in front of a background.

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
    pen = Pen(person, pose, height, width)
    draw_place(pen.draw, horizon, things, height, width)
    draw_body(pen, person, pose)
    return np.asarray(pen.image)


def draw_place(
    draw: ImageDraw.ImageDraw,
    horizon: float,
    things: tuple[tuple[float, float, float, float], ...],
    height: int,
    width: int,
) -> None:
    """Draw floor and things, as `material_map` has them, on a wall."""
    draw.rectangle((0, horizon * height, width, height), fill=int(Surface.FLOOR))
    for k, (xa, ya, xb, yb) in enumerate(things):
        surface = Surface.THING_A if k % 2 == 0 else Surface.THING_B
        draw.rectangle((xa * width, ya * height, xb * width, yb * height), fill=int(surface))


def draw_body(pen: Pen, person: Person, pose: Pose) -> None:
    """Draw a person over what is there."""
    narrow = 0.66 if pose.view == "side" else 1.0
    shoulder = 0.115 * person.build * narrow
    half = 0.085 * person.build * (0.8 if pose.view == "side" else 1.0)
    hip = 1.0 - person.leg_ratio
    draw_bag_behind(pen, person, pose, shoulder)
    _legs(pen, person, pose, hip, half)
    _torso(pen, person, hip, shoulder, half)
    hands = _arms(pen, person, pose, shoulder)
    draw_bag(pen, person, pose, shoulder, hip, hands[1])
    draw_head(pen, person, pose)


def draw_head(pen: Pen, person: Person, pose: Pose) -> None:
    """Draw neck, hair, face and hat over an already drawn body."""
    rx, ry = 0.056 * person.head, 0.072 * person.head
    y, hair, length = 0.085, Surface.HAIR, person.hair_length
    back = pose.view == "back"
    if length == "long":
        pen.box(-1.45 * rx, y, 1.45 * rx, 0.235, hair)
    pen.limb((0, y), (0, 0.16), 0.028, 0.032, Surface.SKIN)
    if length != "bald":
        pen.oval(0, y - 0.012, 1.15 * rx, 1.08 * ry, hair)
    if length == "bun":
        pen.oval(-1.1 * rx if pose.view == "side" else 0, y - 1.2 * ry, 0.55 * rx, 0.45 * ry, hair)
    if not back or length == "bald":
        pen.oval(0.35 * rx * (pose.view == "side"), y + 0.012, 0.9 * rx, 0.85 * ry, Surface.SKIN)
    elif length == "long":
        pen.box(-1.4 * rx, y, 1.4 * rx, 0.235, hair)
    hat, brow = Surface.HAT, y - 0.25 * ry
    if person.hat == "beanie":
        pen.oval(0, brow - 0.5 * ry, 1.3 * rx, 0.85 * ry, hat)
        pen.box(-1.3 * rx, brow - 0.45 * ry, 1.3 * rx, brow + 0.1 * ry, hat)
    elif person.hat == "wide hat":
        pen.oval(0, brow - 0.35 * ry, 1.15 * rx, 0.65 * ry, hat)
        pen.oval(0, brow, 2.6 * rx, 0.26 * ry, hat)
    elif person.hat == "cap":
        pen.oval(0, brow - 0.2 * ry, 1.2 * rx, 0.55 * ry, hat)
        reach = 1.2 * rx if pose.view == "side" else 0.0
        pen.oval(reach, brow + 0.05 * ry, 1.35 * rx, 0.22 * ry, hat)


def draw_bag_behind(pen: Pen, person: Person, pose: Pose, shoulder: float) -> None:
    """Draw the part of a bag that is behind the body; call it before drawing the body."""
    if person.bag == "backpack" and pose.view == "side":
        pen.box(-0.19, 0.18, -0.02, 0.43, Surface.BAG)
    elif person.bag == "backpack" and pose.view == "front":
        pen.box(-1.1 * shoulder, 0.145, 1.1 * shoulder, 0.3, Surface.BAG)


def draw_bag(
    pen: Pen, person: Person, pose: Pose, shoulder: float, hip: float, hand: tuple[float, float]
) -> None:
    """Draw a bag in front of the body.

    Args:
        pen: on a map that shows the body already.
        person: who carries it.
        pose: for the side they are seen from.
        shoulder: half width at the shoulders.
        hip: height of the hips.
        hand: where the hand is that holds a handbag.
    """
    bag = Surface.BAG
    if person.bag == "backpack" and pose.view == "back":
        pen.box(-0.8 * shoulder, 0.19, 0.8 * shoulder, 0.43, bag)
    elif person.bag == "backpack" and pose.view == "front":
        for s in (-0.6 * shoulder, 0.6 * shoulder):
            pen.limb((s, 0.15), (s, 0.38), 0.022, 0.022, bag)
    elif person.bag == "handbag":
        x, y = hand
        pen.limb((x, y), (x, y + 0.05), 0.01, 0.01, bag)
        pen.box(x - 0.075, y + 0.04, x + 0.075, y + 0.17, bag)
    elif person.bag == "shoulder bag":
        x = 0.03 if pose.view == "side" else 0.9 * shoulder
        pen.limb((-0.6 * shoulder, 0.17), (x, hip - 0.05), 0.016, 0.016, bag)
        pen.box(x - 0.065, hip - 0.07, x + 0.065, hip + 0.06, bag)
