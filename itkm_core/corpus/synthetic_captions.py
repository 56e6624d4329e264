"""What a picture of a made-up person is called. [ours]

A caption names some of what its own picture shows, in varied order and words. An infrared picture
is described without colour: by shapes, things and how bright the cloth looks.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from itkm_core.corpus.synthetic_draw import Pose
from itkm_core.corpus.synthetic_people import Material, Person, luminance

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
_LOOKS = {"front": "seen from the front", "back": "seen from behind", "side": "seen from the side"}


def _say(rng: Generator, *words: str) -> str:
    return words[int(rng.integers(len(words)))]


def _shade(material: Material, infrared: bool) -> str:
    level = material.infrared if infrared else luminance(material.rgb)
    return "dark" if level < 0.36 else "light" if level > 0.6 else ""


def _cloth(rng: Generator, material: Material, infrared: bool) -> str:
    shade = _shade(material, infrared)
    if infrared:
        return shade
    if shade and rng.random() < 0.25 and material.name not in ("black", "white"):
        return f"{shade} {material.name}"
    return material.name


def _hair(rng: Generator, person: Person, infrared: bool) -> str:
    if person.hair_length == "bald":
        return _say(rng, "no hair", "a bald head")
    colour = _cloth(rng, person.hair, infrared)
    if person.hair_length == "bun":
        return " ".join(word for word in (colour, "hair in a bun") if word)
    return " ".join(word for word in (person.hair_length, colour, "hair") if word)


def _top(rng: Generator, person: Person, infrared: bool) -> str:
    top = person.top
    words = [_cloth(rng, top.material, infrared)]
    if top.pattern != "plain":
        if not infrared and rng.random() < 0.5:
            words += ["and", top.second.name]
        words.append(top.pattern)
    words.append(_say(rng, *_TOPS[top.hem, top.sleeves]))
    return " ".join(word for word in words if word)


def _bottom(rng: Generator, person: Person, infrared: bool) -> str:
    kind = {"trousers": _say(rng, "trousers", "pants")}.get(person.bottom.kind, person.bottom.kind)
    return " ".join(w for w in (_cloth(rng, person.bottom.material, infrared), kind) if w)


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


def _things(rng: Generator, person: Person, infrared: bool) -> list[str]:
    things = []
    if person.bag != "none":
        colour = _cloth(rng, person.bag_material, infrared) if rng.random() < 0.5 else ""
        verb = _say(rng, "carrying", "with")
        things.append(f"{verb} {_article(f'{colour} {person.bag}'.strip())}")
    elif rng.random() < 0.2:
        things.append("without a bag")
    if person.hat != "none":
        colour = _cloth(rng, person.hat_material, infrared) if rng.random() < 0.5 else ""
        things.append(f"{_say(rng, 'wearing', 'in')} {_article(f'{colour} {person.hat}'.strip())}")
    elif rng.random() < 0.15:
        things.append("without a hat")
    if rng.random() < 0.35:
        shoes = "boots" if person.shoes == "boots" else "shoes"
        things.append(
            f"in {_cloth(rng, person.shoe_material, infrared)} {shoes}".replace("  ", " ")
        )
    return things


def describe(
    person: Person, pose: Pose, rng: Generator, *, infrared: bool, low_resolution: bool
) -> str:
    """Write a caption.

    Args:
        person: who, in the clothes of the picture.
        pose: for the side they are seen from.
        rng: the generator of this caption.
        infrared: say nothing of colour.
        low_resolution: the picture is small; the caption may say so.

    Returns:
        One line of English, at most some 45 tokens of CLIP's vocabulary.
    """
    top = _article(_top(rng, person, infrared))
    bottom = _article(_bottom(rng, person, infrared))
    clothes = f"{_say(rng, 'wearing', 'in', 'dressed in')} "
    u = rng.random()
    clothes += f"{top} and {bottom}" if u < 0.6 else f"{bottom} and {top}" if u < 0.8 else top
    others = [*_things(rng, person, infrared), f"with {_hair(rng, person, infrared)}"]
    if rng.random() < 0.4:
        others.append(_LOOKS[pose.view])
    # Three at most beside the clothes: longer captions make training slower and nobody writes them.
    parts = [clothes, *(others[int(i)] for i in rng.permutation(len(others))[:3])]
    order = rng.permutation(len(parts)) if rng.random() < 0.5 else np.arange(len(parts))
    start = _say(rng, *_PICTURES)
    if rng.random() < 0.25:
        kind = "infrared" if infrared else "low-resolution" if low_resolution else "colour"
        start = f"{'an' if infrared else 'a'} {kind} photo of"
    noun = _noun(rng, person)
    subject = f"{start} {_article(noun)}" if start else _article(noun)
    return f"{subject} {', '.join(parts[int(i)] for i in order)}."
