"""Fit a vision transformer's position embedding to another image size."""

from __future__ import annotations

from torch import Tensor, cat
from torch.nn import functional as F

from itkm_core.errors import ModelError


def patch_grid(image_size: tuple[int, int], patch_size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of patches in an image of (height, width) pixels.

    Raises:
        ModelError: a side is not a multiple of the patch.
    """
    if any(
        size < patch or size % patch for size, patch in zip(image_size, patch_size, strict=True)
    ):
        nearest = tuple(
            max(1, round(size / patch)) * patch
            for size, patch in zip(image_size, patch_size, strict=True)
        )
        raise ModelError(
            f"model.image_size {tuple(image_size)} (height, width) is not a multiple of the model's "
            f"patch {tuple(patch_size)}: use for example {nearest}"
        )
    return image_size[0] // patch_size[0], image_size[1] // patch_size[1]


def resize_positions(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Resize the patches' part bicubically with antialiasing; the class token's row stays as it is.

    Args:
        positions: [1 + rows * columns, C], the class token's row first.
        old, new: (rows, columns) of the patch grid.

    Returns:
        [1 + new rows * new columns, C]; the input itself if the grid is unchanged.
    """
    if tuple(old) == tuple(new):
        return positions
    grid = positions[1:].reshape(1, *old, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=new, mode="bicubic", antialias=True, align_corners=False)
    return cat([positions[:1], grid.permute(0, 2, 3, 1).reshape(new[0] * new[1], -1)])
