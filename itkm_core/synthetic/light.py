"""How a map of materials becomes a picture: camera, light, noise, resolution. [ours]"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from itkm_core.synthetic.people import Person
from itkm_core.synthetic.pose import Surface


@dataclass(frozen=True)
class Camera:
    """One camera and the place it looks at. Colours and reflectances are in [0, 1]."""

    surfaces: np.ndarray
    """float [4, 3]: RGB of wall, floor and two kinds of things."""
    infrared: np.ndarray
    """float [4]: their infrared reflectance."""
    gain: np.ndarray
    """float [3]: the colour cast."""
    drift: float
    """Deviation of the logarithm of the gain from picture to picture, per colour channel."""
    gamma: float
    horizon: float
    things: tuple[tuple[float, float, float, float], ...]
    """Rectangles of the background (x0, y0, x1, y1), shares of width and height."""


def draw_camera(rng: Generator, cast: float) -> Camera:
    """Draw a camera; `cast` is `SyntheticConfig.cast`."""
    base = rng.uniform(0.2, 0.8, (4, 1))
    surfaces = np.clip(base + rng.normal(0.0, 0.07, (4, 3)), 0.05, 0.95)
    things = []
    for _ in range(int(rng.integers(1, 4))):
        x, y, w, h = rng.uniform((-0.1, 0.0, 0.1, 0.2), (1.0, 0.5, 0.4, 0.6))
        things.append((x, y, x + w, y + h))
    return Camera(
        surfaces=surfaces,
        infrared=rng.uniform(0.1, 0.7, 4),
        gain=np.exp(rng.normal(0.0, cast, 3)),
        drift=0.4 * cast,
        gamma=float(np.exp(rng.normal(0.0, 0.15))),
        horizon=float(rng.uniform(0.5, 0.85)),
        things=tuple(things),
    )


@dataclass(frozen=True)
class Shine:
    """The light of one picture: exposure, gain per colour channel, and how much one side has more of it (visible) or
    the edges have less (infrared)."""

    exposure: float
    balance: np.ndarray
    fall: float


def draw_shine(rng: Generator, camera: Camera, infrared: bool) -> Shine:
    """Draw the light of one picture."""
    return Shine(
        exposure=np.exp(rng.normal(0.0, 0.12)),
        balance=np.exp(rng.normal(0.0, camera.drift, 3)),
        fall=rng.uniform(0.1, 0.5) if infrared else rng.uniform(-0.25, 0.25),
    )


WORN = len(Surface) - Surface.SKIN  # surfaces of a person; the others are the place's
_CONTOUR = 0.6  # how much light seams and outlines lose


def _table(people: Sequence[Person], camera: Camera, infrared: bool) -> np.ndarray:
    """float [4 + WORN * len(people), 3]: the place's surfaces, then those of each person, as `Surface` has them."""
    table = np.empty((Surface.SKIN + WORN * len(people), 3))
    table[: Surface.SKIN] = camera.infrared[:, None] if infrared else camera.surfaces
    for k, person in enumerate(people):
        worn = {
            Surface.SKIN: person.skin,
            Surface.HAIR: person.hair,
            Surface.TOP: person.top.material,
            Surface.TOP_SECOND: person.top.second,
            Surface.BOTTOM: person.bottom.material,
            Surface.SLEEVE: person.top.material,
            Surface.OTHER_LEG: person.bottom.material,
            Surface.SHOES: person.shoe_material,
            Surface.BAG: person.bag_material,
            Surface.HAT: person.hat_material,
        }
        for surface, material in worn.items():
            table[surface + WORN * k] = material.infrared if infrared else material.rgb
    return table


def _contours(surfaces: np.ndarray) -> np.ndarray:
    """uint8 [H, W]: 1 where a part of the person borders on anything else."""
    worn = surfaces >= Surface.SKIN
    edge = np.zeros(surfaces.shape, dtype=bool)
    for axis in (0, 1):
        # Views with the axis in front, so that one slice serves both directions.
        s, w, e = (np.moveaxis(a, axis, 0) for a in (surfaces, worn, edge))
        border = (s[1:] != s[:-1]) & (w[1:] | w[:-1])
        e[1:] |= border
        e[:-1] |= border
    return edge.astype(np.uint8)


def expose(
    surfaces: np.ndarray,
    people: Sequence[Person],
    camera: Camera,
    rng: Generator,
    *,
    size: tuple[int, int],
    infrared: bool,
    noise: float,
    shine: Shine | None = None,
) -> np.ndarray:
    """Light a map of materials and photograph it.

    Args:
        surfaces: unsigned [H, W] of `Surface`, H and W a whole multiple of `size`; those of person k are
            `WORN` * k higher.
        people: whose materials to use.
        camera: cast, gamma and background.
        rng: the generator of this picture.
        size: (height, width) of the picture, in pixels.
        infrared: one channel of reflectance, under the camera's own lamp, in place of colour.
        noise: deviation of the pixel noise, in units of full white.
        shine: the light; None draws it from `rng`.

    Returns:
        uint8 [height, width, 3]; of an infrared picture the three channels are equal.
    """
    height, width = size
    table = _table(people, camera, infrared) * 255.0
    table = np.clip(table, 0.0, 255.0).astype(np.uint8)
    factor = surfaces.shape[0] // height
    # Folds and shadows draw every garment's outline whatever its colour; without them a shape is
    # only a change of colour, which a small model takes very long to learn.
    surfaces = surfaces + surfaces.dtype.type(len(table)) * _contours(surfaces)
    table = np.concatenate([table, (table * (1.0 - _CONTOUR)).astype(np.uint8)])
    if infrared:
        small = Image.fromarray(table[:, 0][surfaces]).reduce(factor)
    else:
        small = Image.fromarray(table[surfaces]).reduce(factor)
    light = np.asarray(small, dtype=np.float32) / 255.0
    light = light.reshape(height, width, -1)
    shine = shine or draw_shine(rng, camera, infrared)
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :, None]
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None, None]
    if infrared:
        # The lamp beside the lens lights the middle of the picture more than its edges.
        field = shine.exposure * (1.1 - shine.fall * (x * x + y * y))
    else:
        field = shine.exposure * shine.balance * camera.gain * (1.0 + shine.fall * x)
    light = np.clip(light * field.astype(np.float32), 0.0, 1.0) ** np.float32(camera.gamma)
    light = light + np.float32(noise) * rng.standard_normal(light.shape, dtype=np.float32)
    picture = np.clip(light * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.repeat(picture, 3, axis=2) if infrared else picture


def lower_resolution(picture: np.ndarray, factor: float) -> np.ndarray:
    """Reduce uint8 [h, w, 3] by `factor` (>= 1) to [round(h / factor), round(w / factor), 3]."""
    height, width = picture.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
