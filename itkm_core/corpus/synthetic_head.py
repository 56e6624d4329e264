"""Head, hair and hat of a made-up person. Lengths are as in `synthetic_pose`. [ours]"""

from __future__ import annotations

from itkm_core.synthetic.people import Person
from itkm_core.synthetic.pose import Pen, Pose, Surface


def draw_head(pen: Pen, person: Person, pose: Pose) -> None:
    """Draw neck, hair, face and hat over a body that is drawn already."""
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
