"""Who is drawn: body, clothes and things of a synthetic person, and what they reflect. [ours]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (28, 28, 32),
    "white": (232, 232, 228),
    "grey": (128, 128, 132),
    "red": (190, 36, 40),
    "orange": (226, 126, 36),
    "yellow": (226, 200, 60),
    "green": (48, 132, 62),
    "teal": (36, 136, 140),
    "blue": (46, 92, 190),
    "purple": (112, 52, 148),
    "pink": (226, 140, 172),
    "brown": (112, 74, 44),
    "beige": (204, 182, 146),
}
"""Colours of clothes and things: name -> RGB in 0..255."""

HAIR_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (26, 22, 22),
    "brown": (88, 56, 34),
    "blond": (206, 174, 104),
    "red": (150, 72, 36),
    "grey": (160, 158, 156),
}
SKIN_TONES = ((248, 214, 186), (226, 180, 142), (192, 138, 98), (138, 92, 62), (88, 58, 42))

PATTERNS = ("plain", "striped", "pinstriped", "checked", "dotted", "two-tone")
SLEEVES = ("long", "short", "none")
HEMS = ("waist", "hip", "coat")
BOTTOMS = ("trousers", "shorts", "skirt", "long skirt")
SHOES = ("low", "boots")
BAGS = ("none", "backpack", "handbag", "shoulder bag")
HATS = ("none", "cap", "beanie", "wide hat")
HAIR_LENGTHS = ("bald", "short", "long", "bun")

# Share of each value, in the order of the tuples above.
_PATTERN_SHARES = (0.35, 0.15, 0.12, 0.13, 0.12, 0.13)
_SLEEVE_SHARES = (0.5, 0.35, 0.15)
_HEM_SHARES = (0.35, 0.4, 0.25)
_BOTTOM_SHARES = (0.5, 0.2, 0.18, 0.12)
_BAG_SHARES = (0.34, 0.26, 0.2, 0.2)
_HAT_SHARES = (0.52, 0.18, 0.16, 0.14)
_HAIR_SHARES = (0.1, 0.4, 0.34, 0.16)


@dataclass(frozen=True)
class Material:
    """What a surface reflects: a colour name, RGB in [0, 1], infrared reflectance in [0, 1]."""

    name: str
    rgb: tuple[float, float, float]
    infrared: float


@dataclass(frozen=True)
class Top:
    """A garment of the upper body; `second` is the other colour of its pattern."""

    material: Material
    second: Material
    pattern: str
    sleeves: str
    hem: str


@dataclass(frozen=True)
class Bottom:
    """A garment of the lower body with the shoes worn under it."""

    material: Material
    kind: str


@dataclass(frozen=True)
class Person:
    """A synthetic person. Lengths are factors of the average person's."""

    height: float
    build: float
    head: float
    leg_ratio: float
    skin: Material
    hair: Material
    hair_length: str
    bag: str
    bag_material: Material
    hat: str
    hat_material: Material
    shoes: str
    shoe_material: Material
    top: Top
    bottom: Bottom


def luminance(rgb: tuple[float, float, float]) -> float:
    """Rec. 601 luminance of an RGB triple, in the triple's own unit."""
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def _pick(rng: Generator, values: tuple[str, ...], shares: tuple[float, ...]) -> str:
    u = rng.random()
    for value, share in zip(values, shares, strict=True):
        u -= share
        if u < 0:
            return value
    return values[-1]


def _material(
    rng: Generator,
    name: str,
    rgb: tuple[int, int, int],
    from_luminance: float,
    jitter: float = 14.0,
) -> Material:
    shade = np.clip((np.asarray(rgb) + rng.normal(0.0, jitter, 3)) / 255.0, 0.02, 0.98)
    colour = (float(shade[0]), float(shade[1]), float(shade[2]))
    # Dyes absorb visible light and let the infrared through, so cloth of one colour can be of any
    # infrared brightness; only the share `from_luminance` of it can be read off the colour.
    infrared = from_luminance * luminance(colour) + (1.0 - from_luminance) * rng.random()
    return Material(name, colour, float(infrared))


def _cloth(rng: Generator, from_luminance: float) -> Material:
    names = tuple(COLOURS)
    name = names[int(rng.integers(len(names)))]
    return _material(rng, name, COLOURS[name], from_luminance)


def draw_top(rng: Generator, from_luminance: float) -> Top:
    """Draw an upper garment; `from_luminance` as `SyntheticConfig.reflectance_from_luminance`."""
    material, second = _cloth(rng, from_luminance), _cloth(rng, from_luminance)
    while second.name == material.name:
        second = _cloth(rng, from_luminance)
    return Top(
        material=material,
        second=second,
        pattern=_pick(rng, PATTERNS, _PATTERN_SHARES),
        sleeves=_pick(rng, SLEEVES, _SLEEVE_SHARES),
        hem=_pick(rng, HEMS, _HEM_SHARES),
    )


def draw_bottom(rng: Generator, from_luminance: float) -> Bottom:
    """Draw a lower garment; `from_luminance` as `SyntheticConfig.reflectance_from_luminance`."""
    return Bottom(_cloth(rng, from_luminance), _pick(rng, BOTTOMS, _BOTTOM_SHARES))


def draw_person(rng: Generator, from_luminance: float) -> Person:
    """Draw a person in their first clothes.

    Args:
        rng: the generator of this person.
        from_luminance: as `SyntheticConfig.reflectance_from_luminance`, in [0, 1].
    """
    hair_names = tuple(HAIR_COLOURS)
    hair_name = hair_names[int(rng.integers(len(hair_names)))]
    skin = SKIN_TONES[int(rng.integers(len(SKIN_TONES)))]
    return Person(
        height=float(rng.uniform(0.88, 1.04)),
        build=float(rng.uniform(0.75, 1.35)),
        head=float(rng.uniform(0.9, 1.15)),
        leg_ratio=float(rng.uniform(0.44, 0.53)),
        # Skin is bright under infrared light whatever its tone.
        skin=Material("skin", _material(rng, "skin", skin, 0.0, 6.0).rgb, rng.uniform(0.55, 0.8)),
        hair=_material(rng, hair_name, HAIR_COLOURS[hair_name], from_luminance, 8.0),
        hair_length=_pick(rng, HAIR_LENGTHS, _HAIR_SHARES),
        bag=_pick(rng, BAGS, _BAG_SHARES),
        bag_material=_cloth(rng, from_luminance),
        hat=_pick(rng, HATS, _HAT_SHARES),
        hat_material=_cloth(rng, from_luminance),
        shoes=_pick(rng, SHOES, (0.7, 0.3)),
        shoe_material=_cloth(rng, from_luminance),
        top=draw_top(rng, from_luminance),
        bottom=draw_bottom(rng, from_luminance),
    )
