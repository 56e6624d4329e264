"""Labels that cannot be learnt from: the conditions, and what to change. docs/labelling.md has the table."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import LabelError

MAX_CLUSTER_SHARE = 0.5
"""A cluster that holds more of its group's images than this is not an identity."""


class Condition(StrEnum):
    """What a group's labels are like as a whole; anything but OK must not replace earlier labels."""

    OK = "ok"
    NO_CLUSTERS = "no_clusters"
    """The group has no image, so no cluster either."""
    ALL_NOISE = "all_noise"
    """There are images, and every one is an outlier."""
    ONE_GIANT_CLUSTER = "one_giant_cluster"
    """One cluster holds more than half of the group's images, outliers counted among them."""


def check(labels: npt.ArrayLike, *, max_cluster_share: float = MAX_CLUSTER_SHARE) -> Condition:
    """The condition of a group's labels, int [N], -1 for outliers. A pure function: it does not warn."""
    array = label_array(labels)
    members = array[array >= 0]
    if not len(array):
        return Condition.NO_CLUSTERS
    if not len(members):
        return Condition.ALL_NOISE
    if np.unique(members, return_counts=True)[1].max() > max_cluster_share * len(array):
        return Condition.ONE_GIANT_CLUSTER
    return Condition.OK


def describe(condition: Condition, *, where: str, eps: float, k1: int) -> str:
    """One line for a person: what was found in group `where`, what was expected, what to change."""
    match condition:
        case Condition.OK:
            return f"{where}: the labels can be learnt from."
        case Condition.NO_CLUSTERS:
            return (
                f"{where}: no cluster, for the group has no images; expected training images in it."
            )
        case Condition.ALL_NOISE:
            return (
                f"{where}: all images are outliers; expected clusters. Raise eps (now {eps:g}) or "
                f"change k1 (now {k1}; about the images of one person in the group), or lower min_samples."
            )
        case Condition.ONE_GIANT_CLUSTER:
            return (
                f"{where}: one cluster holds more than half of the images; expected many. Lower eps "
                f"(now {eps:g}) or k1 (now {k1}; about the images of one person in the group)."
            )


def keep_or_stop(
    labels: npt.NDArray[np.int64],
    previous: npt.NDArray[np.int64] | None = None,
    *,
    where: str,
    eps: float,
    k1: int,
) -> tuple[npt.NDArray[np.int64], Condition]:
    """The labels to learn from, and the condition of the new ones.

    Returns `labels` if they are OK, else `previous` (the same images' labels of the round before): the caller
    warns with `describe` and records the condition.

    Raises LabelError, with eps and k1 to change, where there are none to keep.
    """
    condition = check(labels)
    if condition is Condition.OK:
        return labels, condition
    if previous is None:
        raise LabelError(describe(condition, where=where, eps=eps, k1=k1))
    if len(previous) != len(labels):
        raise LabelError(
            f"{where}: {len(previous)} earlier labels for {len(labels)} images; expected one an image"
        )
    return previous, condition


def label_array(labels: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    """`labels` as an integer array [N]; LabelError if it is anything else. An empty list is N = 0."""
    array = np.asarray(labels)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise LabelError(
            f"labels have shape {array.shape} and dtype {array.dtype}; expected integers, one an image"
        )
    return array
