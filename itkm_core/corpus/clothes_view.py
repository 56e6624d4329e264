"""A clothing-perturbed view of a picture: the second group of a scenario whose changed clothes nobody has marked.

docs/definition.md, "Derived groups". Without anyone's identity it is not known which pictures show changed clothes, so
group 1 is the pictures of group 0 with the colours of torso and legs changed. [ours]

Shapes: B images of h x w pixels, RGB, uint8.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from itkm_core.corpus.random_keys import Keys, sample_keys, uniforms

Pixels = NDArray[np.uint8]

CLOTHES = "clothes"
_PURPOSE = 4  # among the draws of corpus/sampling.py

# Top and bottom of torso and legs, and the sides of both, as shares of a crop; what fades out lies inside of them.
TORSO, LEGS, SIDES = (0.16, 0.56), (0.52, 0.96), (0.1, 0.9)
FADE = 0.06
GAIN = (0.5, 1.5)  # each channel is multiplied by one of these,
SHIFT = (-60.0, 60.0)  # and then has one of these added, of 255
_ORDERS = np.array(list(permutations(range(3)))[1:])  # of the channels, other than their own
_DRAWS = 7  # of a region: the order, three gains, three shifts


def view_keys(seed: int, round: int, sample_ids: NDArray[np.int64]) -> Keys:
    """uint64 [B]: the keys of the views that these images have in a round, of training and extraction alike."""
    return sample_keys((seed, round, _PURPOSE), sample_ids)


def other_clothes(images: Pixels, keys: Keys) -> Pixels:
    """The view of each image; row i depends on its own pixels and key only.

    In each of two regions, torso and legs, the channels change places and are then scaled and shifted, each by its own
    draw. The regions fade out at their edges, so that no border is drawn.

    Args:
        images: uint8 [B, h, w, 3], left as they are.
        keys: uint64 [B], see `view_keys`.

    Returns:
        uint8 [B, h, w, 3].
    """
    draws = uniforms(keys, 2 * _DRAWS).reshape(len(images), 2, _DRAWS)
    orders = _ORDERS[(draws[:, :, 0] * len(_ORDERS)).astype(int)]
    gains = GAIN[0] + (GAIN[1] - GAIN[0]) * draws[:, :, 1:4]
    shifts = (SHIFT[0] + (SHIFT[1] - SHIFT[0]) * draws[:, :, 4:7]).astype(np.float32)
    # The order and the gains as one matrix, from channels in to channels out.
    dyes = np.where(np.arange(3)[:, None] == orders[:, :, None, :], gains[:, :, None, :], 0)
    dyes = dyes.astype(np.float32)
    parts = regions(images.shape[1], images.shape[2])
    out = images.copy()
    for row in range(len(images)):
        seen = images[row].astype(np.float32)
        for region, (rows, columns, mask) in enumerate(parts):
            here = seen[rows, columns]
            dyed = here @ dyes[row, region]
            dyed += shifts[row, region]
            np.clip(dyed, 0, 255, out=dyed)
            dyed -= here
            dyed *= mask
            here += dyed
        for rows, columns, _ in parts:
            out[row, rows, columns] = seen[rows, columns].round()
    return out


@lru_cache(maxsize=8)
def regions(height: int, width: int) -> tuple[tuple[slice, slice, NDArray[np.float32]], ...]:
    """Torso and legs: the rows and columns they lie in, and how much of them each of these pixels is, [.., .., 1]."""
    across = _window(width, SIDES)
    found = []
    for ends in (TORSO, LEGS):
        down = _window(height, ends)
        rows, columns = (slice(*np.flatnonzero(part)[[0, -1]] + [0, 1]) for part in (down, across))
        found.append((rows, columns, (down[rows, None] * across[columns])[:, :, None]))
    return tuple(found)


def _window(size: int, ends: tuple[float, float]) -> NDArray[np.float32]:
    """float32 [size]: 1 between the ends (shares of the size), 0 outside; from one to the other within FADE."""
    at = (np.arange(size) + 0.5) / size
    inside = np.minimum(at - ends[0], ends[1] - at) / FADE
    return inside.clip(0, 1).astype(np.float32)
