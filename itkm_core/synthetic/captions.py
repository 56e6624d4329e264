"""Captions for pictures of synthetic people. [ours]

A caption names some of what its picture shows, in varied order and words. An infrared picture
is described without colour: by shapes, things and how bright the cloth looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from itkm_core.synthetic.people import Material, Person, luminance
from itkm_core.synthetic.pose import Pose

_TOPS = {
    ("waist", "long"): ("long-sleeved top", "sweater"),
    ("waist", "short"): ("t-shirt", "short-sleeved top"),
    ("waist", "none"): ("tank top", "sleeveless top"),
    ("hip", "long"): ("long-sleeved shirt", "jumper"),
    ("hip", "short"): ("short-sleeved shirt", "polo shirt"),
    ("hip", "none"): ("sleeveless shirt", "vest"),
    ("coat", "long"): ("long coat", "coat"),
    ("coat", "short"): ("short-sleeved tunic", "tunic"),
    ("coat", "none"): ("sleeveless tunic", "long vest"),
}
_PICTURES = ("a photo of", "a picture of", "an image of", "")
_SPOKEN_OF = (0.55, 0.55, 0.75, 0.75, 0.55, 0.25, 0.25)
_LOOKS = {"front": "seen from the front", "back": "seen from behind", "side": "seen from the side"}


def _say(rng: Generator, *words: str) -> str:
    return words[int(rng.integers(len(words)))]


@dataclass(frozen=True)
class _Seen:
    """What the describer sees of a surface, and whether they name its colour."""

    infrared: bool
    colours: bool


def _shade(material: Material, seen: _Seen) -> str:
    level = material.infrared if seen.infrared else luminance(material.rgb)
    return "dark" if level < 0.36 else "light" if level > 0.6 else ""


def _cloth(rng: Generator, material: Material, seen: _Seen) -> str:
    shade = _shade(material, seen)
    if not seen.colours:
        return shade
    if shade and rng.random() < 0.25 and material.name not in ("black", "white"):
        return f"{shade} {material.name}"
    return material.name


def _hair(rng: Generator, person: Person, seen: _Seen) -> str:
    if person.hair_length == "bald":
        return _say(rng, "no hair", "a bald head")
    colour = _cloth(rng, person.hair, seen)
    if person.hair_length == "bun":
        return " ".join(word for word in (colour, "hair in a bun") if word)
    return " ".join(word for word in (person.hair_length, colour, "hair") if word)


def _top(rng: Generator, person: Person, seen: _Seen) -> str:
    top = person.top
    words = [_cloth(rng, top.material, seen)]
    if top.pattern != "plain":
        if seen.colours and rng.random() < 0.5:
            words += ["and", top.second.name]
        words.append(top.pattern)
    words.append(_say(rng, *_TOPS[top.hem, top.sleeves]))
    return " ".join(word for word in words if word)


def _bottom(rng: Generator, person: Person, seen: _Seen) -> str:
    kind = {"trousers": _say(rng, "trousers", "pants")}.get(person.bottom.kind, person.bottom.kind)
    return " ".join(w for w in (_cloth(rng, person.bottom.material, seen), kind) if w)


def _article(words: str) -> str:
    if words.endswith(("trousers", "pants", "shorts", "hair", "shoes", "boots")):
        return words
    return ("an " if words[0] in "aeiou" else "a ") + words


def _noun(rng: Generator, person: Person) -> str:
    words = []
    if person.height > 0.99 and rng.random() < 0.5:
        words.append("tall")
    elif person.height < 0.92 and rng.random() < 0.5:
        words.append("short")
    if person.build > 1.18:
        words.append(_say(rng, "broad", "stout"))
    elif person.build < 0.9:
        words.append(_say(rng, "slim", "thin"))
    return " ".join([*words, _say(rng, "person", "person", "pedestrian", "figure")])


def _bag(rng: Generator, person: Person, seen: _Seen) -> str:
    if person.bag == "none":
        return _say(rng, "without a bag", "with no bag")
    colour = _cloth(rng, person.bag_material, seen) if rng.random() < 0.4 else ""
    return f"{_say(rng, 'carrying', 'with')} {_article(f'{colour} {person.bag}'.strip())}"


def _hat(rng: Generator, person: Person, seen: _Seen) -> str:
    if person.hat == "none":
        return _say(rng, "without a hat", "with a bare head")
    colour = _cloth(rng, person.hat_material, seen) if rng.random() < 0.4 else ""
    return f"{_say(rng, 'wearing', 'in')} {_article(f'{colour} {person.hat}'.strip())}"


def _shoes(rng: Generator, person: Person, seen: _Seen) -> str:
    shoes = "boots" if person.shoes == "boots" else "shoes"
    return f"in {f'{_cloth(rng, person.shoe_material, seen)} {shoes}'.strip()}"


def _parts(rng: Generator, person: Person, pose: Pose, seen: _Seen) -> list[str]:
    # How often each is mentioned. Colours of clothes tell most people of a batch apart: mentioned
    # every time, they would be all that a model learns, and it would not see hats and bags.
    top, bottom, bag, hat, hair, shoes, look = rng.random(7) < _SPOKEN_OF
    parts = []
    clothes = _say(rng, "wearing", "in", "dressed in")
    if top and bottom:
        both = [_article(_top(rng, person, seen)), _article(_bottom(rng, person, seen))]
        first = int(rng.random() < 0.3)
        parts.append(f"{clothes} {both[first]} and {both[1 - first]}")
    elif top:
        parts.append(f"{clothes} {_article(_top(rng, person, seen))}")
    elif bottom:
        parts.append(f"{clothes} {_article(_bottom(rng, person, seen))}")
    if bag and (person.bag != "none" or rng.random() < 0.3):
        parts.append(_bag(rng, person, seen))
    if hat and (person.hat != "none" or rng.random() < 0.3):
        parts.append(_hat(rng, person, seen))
    if hair:
        parts.append(f"with {_hair(rng, person, seen)}")
    if shoes:
        parts.append(_shoes(rng, person, seen))
    if look:
        parts.append(_LOOKS[pose.view])
    return parts


def describe(
    person: Person, pose: Pose, rng: Generator, *, infrared: bool, low_resolution: bool
) -> str:
    """Write a caption.

    Args:
        person: who, in the clothes of the picture.
        pose: for the side they are seen from.
        rng: the generator of this caption.
        infrared: do not mention colour.
        low_resolution: the picture is small; the caption may say so.

    Returns:
        One line of English, at most about 45 tokens of CLIP's vocabulary.
    """
    kind = "an infrared" if infrared else "a low-resolution" if low_resolution else "a colour"
    # Some captions of colour pictures use brightness too: words that both kinds of light share.
    seen = _Seen(infrared, colours=not infrared and bool(rng.random() < 0.6))
    parts = _parts(rng, person, pose, seen)
    while len(parts) < 2:
        parts = _parts(rng, person, pose, seen)
    # Four at most: longer captions slow down training, and nobody writes them.
    order = rng.permutation(len(parts))[:4]
    if rng.random() < 0.5:
        order = np.sort(order)
    start = _say(rng, *_PICTURES)
    if rng.random() < 0.25:
        start = f"{kind} photo of"
    noun = _noun(rng, person)
    subject = f"{start} {_article(noun)}" if start else _article(noun)
    return f"{subject} {', '.join(parts[int(i)] for i in order)}."
