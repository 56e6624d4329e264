"""Pictures that show no person well: of one colour, dark, blurred, tiny or oddly shaped. [ours]

Sharpness and size are compared with those of the same scenario and group, since a group may be of low resolution by
nature. benchmarks/checking.py has what the limits find, and what they say of clean pictures.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from itkm_core.corpus.checks.issues import issues
from itkm_core.neighbors.groups import number_groups

SPREAD = 2.0
"""A thumbnail that varies less than this, in levels of 255, shows nothing."""

MEAN = 20.0
"""A picture with a lower mean luminance, in levels of 255, is dark."""

SHARPNESS = 0.5
"""Of the median of its scenario and group: a picture below is blurred."""

HEIGHT, WIDTH = 16, 8
"""In pixels; a smaller picture is less than one patch of an encoder."""

SIZE = 0.25
"""Of the median height of its scenario and group: a picture below is tiny."""

ASPECT = (0.75, 6.0)
"""Of people's pictures, the least and largest height per width."""

Floats = NDArray[np.float64]


def picture_issues(index: pa.Table, looks: pa.Table) -> list[pa.Table]:
    """ISSUES_SCHEMA tables of the pictures that nobody can be recognized in.

    Args:
        index: sample_id, scenario, group, height and width of the pictures.
        looks: mean, spread and sharpness (see `Look`), in the same order.
    """
    ids = index["sample_id"].to_numpy()
    height, width = (index[name].to_numpy().astype(float) for name in ("height", "width"))
    mean, spread, sharp = (looks[name].to_numpy() for name in ("mean", "spread", "sharpness"))
    block, _ = number_groups(
        index["scenario"].combine_chunks().dictionary_encode().indices.to_numpy(),
        index["group"].to_numpy(),
    )
    sharp_there, height_there = (_medians(values, block) for values in (sharp, height))
    aspect = height / width
    flat = spread < SPREAD
    tiny = (height < HEIGHT) | (width < WIDTH) | (height < SIZE * height_there)
    blurred = ~flat & ~tiny & (sharp < SHARPNESS * sharp_there)
    odd = (aspect < ASPECT[0]) | (aspect > ASPECT[1])

    def found(kind: str, rows: NDArray[np.bool_], value: Floats, words: str) -> pa.Table:
        values = value[rows]
        return issues(kind, ids[rows], values, detail=[words.format(each) for each in values])

    return [
        found("constant", flat, spread, "varies by {:.1f} of 255"),
        found("dark", mean < MEAN, mean, "mean of {:.0f} of 255"),
        found("blurred", blurred, sharp / sharp_there, "{:.0%} of the usual sharpness"),
        found("tiny", tiny, height, "{:.0f} pixels high"),
        found("odd_aspect", odd, aspect, "{:.2f} times as high as wide"),
    ]


def _medians(values: Floats, block: NDArray[np.int64]) -> Floats:
    """[N]: of each picture the median of its block, NaN left out; NaN of a block with nothing else."""
    found = np.full(len(values), np.nan)
    for number in range(block.max(initial=-1) + 1):
        own = values[block == number]
        if not np.isnan(own).all():
            found[block == number] = np.nanmedian(own)
    return found
