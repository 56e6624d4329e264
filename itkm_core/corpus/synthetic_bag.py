"""What a made-up person carries. Lengths are as in `synthetic_pose`. [ours]"""

from __future__ import annotations

from itkm_core.synthetic.people import Person
from itkm_core.synthetic.pose import Pen, Pose, Surface


def draw_bag_behind(pen: Pen, person: Person, pose: Pose, shoulder: float) -> None:
    """Draw what of a bag the body hides; call it before the body is drawn."""
    if person.bag == "backpack" and pose.view == "side":
        pen.box(-0.19, 0.18, -0.02, 0.43, Surface.BAG)
    elif person.bag == "backpack" and pose.view == "front":
        pen.box(-1.1 * shoulder, 0.145, 1.1 * shoulder, 0.3, Surface.BAG)


def draw_bag(
    pen: Pen, person: Person, pose: Pose, shoulder: float, hip: float, hand: tuple[float, float]
) -> None:
    """Draw a bag before the body.

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
