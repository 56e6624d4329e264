"""Inputs that many tests make. `pythonpath` in pyproject.toml lets every test import this file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image


def unit(rows: ArrayLike) -> NDArray[np.float32]:
    """The rows [N, D] scaled to length one in float64, then rounded to float32."""
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def unit_noise(
    count: int, columns: int, seed: int | np.random.Generator = 0
) -> NDArray[np.float32]:
    """Unit rows [count, columns] in random directions."""
    return unit(np.random.default_rng(seed).standard_normal((count, columns)))


def people(
    num: int = 30,
    images: int = 8,
    dimension: int = 32,
    noise: float = 0.8,
    seed: int = 0,
    *,
    shuffled: bool = False,
) -> NDArray[np.float32]:
    """Unit rows [num * images, dimension] around one centre a person.

    Unless shuffled, a person's images are consecutive rows.
    """
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.standard_normal((num, dimension)), images, axis=0)
    rows = centres + noise * rng.standard_normal(centres.shape)
    return unit(rng.permutation(rows) if shuffled else rows)


def encoded(picture: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
