"""How well learnt texts describe their clusters and keep scenarios apart; needs no identities.

Shapes: N images and K clusters of one (scenario, group), D dimensions, unit rows. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from itkm_core.errors import FeatureError

Floats = NDArray[np.float32]
_ROWS_AT_ONCE = 8_192  # bounds the similarities held at once to that many times K


def prompt_accuracy(images: Floats, labels: NDArray[np.int64], texts: Floats) -> float:
    """Share of the clusters' images whose own prompt is nearer than any other of the block.

    Args:
        images: [N, D], of the frozen CLIP.
        labels: int64 [N], rows of `texts`; -1 (outlier) does not count.
        texts: [K, D].

    Returns:
        In 0 .. 1; NaN if every image is an outlier.

    Raises:
        FeatureError: shapes that do not belong together.
    """
    if images.shape[:1] != labels.shape or labels.max(initial=-1) >= len(texts):
        raise FeatureError(
            f"{images.shape[0]} images, {labels.shape[0]} labels up to {labels.max(initial=-1)} "
            f"and {len(texts)} texts: expected one label per image and one text per cluster"
        )
    kept = np.flatnonzero(labels >= 0)
    if len(kept) == 0:
        return float("nan")
    right = 0
    for start in range(0, len(kept), _ROWS_AT_ONCE):
        rows = kept[start : start + _ROWS_AT_ONCE]
        scores = images[rows] @ texts.T
        place = np.arange(len(rows)), labels[rows]
        own = scores[place]
        scores[place] = -np.inf
        # Strictly nearer: identical prompts describe nobody.
        right += int((own > scores.max(axis=1)).sum())
    return right / len(kept)


def scenario_cosine(texts: Mapping[int, Sequence[Floats]]) -> float:
    """Mean cosine of all pairs of texts from different scenarios, which separation lowers.

    Args:
        texts: scenario -> its blocks' texts, each [K, D].

    Returns:
        In -1 .. 1; NaN if fewer than two scenarios have a text.
    """
    # The mean over pairs of dot products is the dot product of sums: no K x K array is needed.
    filled = [[b for b in blocks if len(b)] for blocks in texts.values()]
    sums = [
        np.sum([b.sum(0, dtype=np.float64) for b in blocks], axis=0) for blocks in filled if blocks
    ]
    counts = [sum(len(b) for b in blocks) for blocks in filled if blocks]
    if len(sums) < 2:
        return float("nan")
    total = np.sum(sums, axis=0)
    between = total @ total - sum(part @ part for part in sums)
    pairs = sum(counts) ** 2 - sum(count**2 for count in counts)
    return float(between / pairs)
