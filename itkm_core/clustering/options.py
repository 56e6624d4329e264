"""How one group is labelled, as one value that every step of the labelling takes whole."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from itkm_core.clustering.jaccard import TIE_TOLERANCE
from itkm_core.errors import ConfigError
from itkm_core.neighbors.lists import RECALL


@dataclass(frozen=True)
class LabelOptions:
    """The options of `pseudo_label`, which says what each does.

    `eps` may also be "auto": chosen among `eps_candidates` (ascending), which nothing else reads. With `k1_candidates`
    (ascending) k1 is chosen among them, and `k2` is not read (see `with_k1`); `k1` is the largest.

    Raises ConfigError for a value out of range. `backend` and `recall` are checked by the search, which knows what is
    installed.
    """

    k1: int = 30
    k2: int = 6
    eps: float | Literal["auto"] = 0.6
    eps_candidates: tuple[float, ...] = ()
    min_samples: int = 4
    backend: str = "auto"
    recall: float = RECALL
    dbscan: str = "sparse"
    k1_candidates: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.eps == "auto":
            check_eps_values(self.eps_candidates)
        else:
            check_eps(self.eps)
        for name in ("k1", "k2", "min_samples"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ConfigError(f"{name} is {value!r}; expected an integer of at least 1")
        if self.k2 > self.k1:
            raise ConfigError(
                f"k2 is {self.k2} and k1 is {self.k1}; expected k2 <= k1: the query expansion averages list entries"
            )
        if self.k1_candidates and (
            any(a >= b for a, b in pairwise((0, *self.k1_candidates)))
            or self.k1 != self.k1_candidates[-1]
        ):
            raise ConfigError(
                f"k1_candidates are {list(self.k1_candidates)} and k1 is {self.k1}; expected rising integers, the "
                "last of them k1"
            )
        if self.dbscan not in ("sparse", "cuml"):
            raise ConfigError(f"dbscan is {self.dbscan!r}; expected sparse or cuml")

    def reach(self) -> float:
        """The largest eps that is labelled at."""
        return self.eps_candidates[-1] if self.eps == "auto" else self.eps

    def with_k1(self, k1: int) -> LabelOptions:
        """These options with one of the `k1_candidates`, and a fifth of it as k2, like the defaults 30 and 6. [ours]"""
        return replace(self, k1=k1, k2=max(1, round(k1 / 5)), k1_candidates=())

    def used_for(self, num_images: int) -> tuple[int, int]:
        """k1 and k2 for so many images; a list has no more entries than there are images, which warns."""
        k1, k2 = min(self.k1, num_images), min(self.k2, num_images)
        if 0 < num_images < self.k1:
            warnings.warn(
                f"{num_images} images are fewer than k1 = {self.k1}: using k1 = {k1}, k2 = {k2}",
                stacklevel=4,
            )
        return k1, k2

    def record(self) -> dict[str, Any]:
        """All but `eps` and `dbscan` as plain JSON values, as `PseudoLabels.parameters` begins."""
        return {
            "k1": int(self.k1),
            "k2": int(self.k2),
            "min_samples": int(self.min_samples),
            "backend": self.backend,
            "recall": float(self.recall),
        }


def check_eps(eps: float | str) -> float:
    """`eps`; ConfigError unless it is a number at which not every two images are neighbours."""
    number = isinstance(eps, (int, float, np.integer, np.floating)) and not isinstance(eps, bool)
    # From 1 - 1e-6 on, every two images are neighbours.
    if isinstance(eps, str) or not number or not 0 < eps < 1 - TIE_TOLERANCE:
        raise ConfigError(f"eps is {eps!r}; expected a Jaccard distance above 0 and below 1")
    return eps


def check_eps_values(values: Sequence[float]) -> None:
    """ConfigError unless there are values, each an eps, that ascend."""
    for value in values:
        check_eps(value)
    if not len(values) or any(a >= b for a, b in pairwise(values)):
        raise ConfigError(f"eps values are {list(values)}; expected at least one, in rising order")
