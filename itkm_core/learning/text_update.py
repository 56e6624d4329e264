"""Dynamic text representation update (DRU): texts follow the labels (docs/definition.md, "DRU").

Pure functions of arrays; no torch. Shapes: N images and K clusters of one (scenario, group), D
dimensions; u, t and T have unit rows, float32. A label is a row of T, or -1 (outlier).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from itkm_core.errors import ConfigError, FeatureError, LabelError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_SIMILARITIES_AT_ONCE = 2**25
_ROWS_AT_ONCE = 65_536  # bounds the float64 copy while texts are summed


def text_cluster(images: Floats, labels: Ints, texts: Floats) -> Ints:
    """Whose text an image gets: its own cluster's, or for an outlier the nearest one's. [ours]

    Args:
        images: u [N, D], vectors of the frozen CLIP.
        labels: int64 [N], of Stage I.
        texts: T^0 [K, D], offline text representations of the same (scenario, group).

    Returns:
        int64 [N], rows of T^0. Among equally near texts an outlier gets the one with the lowest number.

    Raises:
        FeatureError: shapes that do not belong together.
        LabelError: no text at all, or labels beyond the texts.
    """
    _check(images, labels, texts)
    if len(texts) == 0:
        raise LabelError(
            f"no cluster among {len(labels)} images, so there is no text to give them: expected at "
            "least one. Label again with a larger labels.eps or a smaller labels.k1"
        )
    chosen = labels.copy()
    outliers = np.flatnonzero(labels < 0)
    at_once = max(1, _SIMILARITIES_AT_ONCE // len(texts))
    for start in range(0, len(outliers), at_once):
        rows = outliers[start : start + at_once]
        chosen[rows] = (images[rows] @ texts.T).argmax(axis=1)
    return chosen


def instance_text(images: Floats, labels: Ints, texts: Floats) -> Floats:
    """The instance-level text t_i: that of `text_cluster`, with the same arguments and errors.

    Returns:
        t [N, D].
    """
    return texts[text_cluster(images, labels, texts)].astype(np.float32, copy=False)


def cluster_text(instance_texts: Floats, labels: Ints) -> Floats:
    """The cluster-level text of new clusters: T_c = norm(mean of t_i over the members of c).

    Args:
        instance_texts: t [N, D].
        labels: int64 [N], of this round; outliers are left out.

    Returns:
        T [K, D], K = 0 where all are outliers. Sums are in float64, in the order of the rows.

    Raises:
        FeatureError: not one text per label.
        LabelError: cluster numbers with gaps.
    """
    _check(instance_texts, labels, None)
    sizes = np.bincount(labels[labels >= 0])
    _check_gaps(sizes)
    sums = np.zeros((len(sizes), instance_texts.shape[1]))
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        part = labels[start : start + _ROWS_AT_ONCE]
        kept = np.flatnonzero(part >= 0)
        member = csr_array(
            (np.ones(len(kept)), (part[kept], np.arange(len(kept)))), shape=(len(sizes), len(kept))
        )
        sums += member @ instance_texts[start + kept].astype(np.float64)
    return _unit(sums)


def majority_text(clusters: Ints, labels: Ints, texts: Floats) -> Floats:
    """The text of new clusters if texts do not change: the one that most of a cluster's images have. [ours]

    Used instead of `cluster_text` if DRU is off.

    Args:
        clusters: int64 [N], `text_cluster` of the images: rows of `texts`.
        labels: int64 [N], of this round; outliers are left out.
        texts: T^0 [K_0, D].

    Returns:
        T [K, D]. On a tie, the text with the lowest number.

    Raises:
        FeatureError: not one cluster per label.
        LabelError: cluster numbers with gaps, or beyond the texts.
    """
    if clusters.shape != labels.shape or labels.ndim != 1:
        raise FeatureError(
            f"{clusters.shape} clusters with labels {labels.shape}: expected [N] both"
        )
    if len(clusters) and not 0 <= clusters.min() <= clusters.max() < len(texts):
        raise LabelError(
            f"clusters {clusters.min()} to {clusters.max()} and texts of {len(texts)} clusters: both "
            "must come from the same labels"
        )
    kept = labels >= 0
    sizes = np.bincount(labels[kept])
    _check_gaps(sizes)
    votes, counts = np.unique(
        labels[kept] * max(len(texts), 1) + clusters[kept], return_counts=True
    )
    label, text = np.divmod(votes, max(len(texts), 1))
    order = np.lexsort((text, -counts, label))
    first = np.searchsorted(label[order], np.arange(len(sizes)))
    return texts[text[order][first]].astype(np.float32)


def update_instance_text(
    instance_texts: Floats, texts: Floats, labels: Ints, rho: float = 0.8
) -> Floats:
    """t_i <- norm(rho t_i + (1 - rho) T_{y_i}); outliers keep theirs.

    Args:
        instance_texts: t [N, D]; not changed.
        texts: T [K, D], `cluster_text` of the same labels.
        labels: int64 [N], of this round.
        rho: share that stays, 0 .. 1. [ours: 0.8]

    Returns:
        t [N, D], a new array.

    Raises:
        ConfigError: rho outside 0 .. 1.
        FeatureError: shapes that do not belong together.
        LabelError: labels beyond the texts.
    """
    _check(instance_texts, labels, texts)
    if not 0.0 <= rho <= 1.0:
        raise ConfigError(f"rho is {rho}: expected a share from 0 to 1")
    updated = instance_texts.astype(np.float32, copy=True)
    kept = np.flatnonzero(labels >= 0)
    updated[kept] = _unit(rho * updated[kept] + (1.0 - rho) * texts[labels[kept]])
    return updated


def _unit(rows: NDArray[np.floating]) -> Floats:
    """Rows of unit norm; one that is zero, as opposite texts make it, stays zero."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(norms, 1e-12)).astype(np.float32)


def _check_gaps(sizes: Ints) -> None:
    if (sizes == 0).any():
        raise LabelError(
            f"cluster {int(np.argmin(sizes))} has no image although cluster {len(sizes) - 1} "
            "exists: expected cluster numbers without gaps"
        )


def _check(rows: Floats, labels: Ints, texts: Floats | None) -> None:
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise FeatureError(
            f"vectors {rows.shape} with labels {labels.shape}: expected [N, D] and [N]"
        )
    if texts is None:
        return
    if texts.ndim != 2 or texts.shape[1] != rows.shape[1]:
        raise FeatureError(
            f"texts {texts.shape} with vectors {rows.shape}: expected [K, {rows.shape[1]}]"
        )
    highest = labels.max(initial=-1)
    if highest >= len(texts):
        raise LabelError(
            f"an image of cluster {highest} and texts of {len(texts)} clusters: both must come "
            "from the same labels"
        )
