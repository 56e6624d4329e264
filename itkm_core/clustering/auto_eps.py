"""Labels of one group's features with the options of a recipe: at a given eps, or at one chosen by a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itkm_core.clustering.options import LabelOptions
from itkm_core.clustering.plateau import choose_eps
from itkm_core.clustering.pseudo_labels import PseudoLabels, jaccard_space
from itkm_core.clustering.sweep import Sweep, sweep_with
from itkm_core.errors import LabelError
from itkm_core.neighbors.workers import Workers


@dataclass(frozen=True)
class Labelled:
    """`found`, and for `eps: auto` why at this value, or in `failure` why none could be chosen.

    After a failure `found` has the labels at the largest candidate, which `check` does not call OK.
    `parameters`: those of `found`; for `eps: auto` also `eps_asked`, `eps_reason` and `sweep` (see `swept`).
    """

    found: PseudoLabels
    parameters: dict[str, Any]
    reason: str = ""
    failure: str = ""


def label_rows(
    features: np.ndarray,
    ids: np.ndarray,
    options: LabelOptions,
    *,
    where: str,
    workers: Workers | None = None,
) -> Labelled:
    """Label unit rows [N, D] of the images `ids` int64 [N].

    `workers`: who computes; this process's threads unless given.
    """
    if options.eps != "auto":
        space = jaccard_space(features, options, sample_ids=ids, workers=workers)
        found = space.labels_at(options.eps)
        return Labelled(found, found.parameters)
    several = sweep_with(features, options, sample_ids=ids, workers=workers)
    record = swept(several, where=where)
    choice = record["choice"]
    found = several.pseudo_labels(-1 if choice is None else choice["index"])
    reason, failure = ("", record["failure"]) if choice is None else (choice["reason"], "")
    parameters = {**found.parameters, "eps_asked": "auto", "eps_reason": reason or failure}
    return Labelled(found, {**parameters, "sweep": record}, reason, failure)


def swept(several: Sweep, *, where: str) -> dict[str, Any]:
    """A sweep as plain JSON values: `points`, and either `choice` or, with none usable, `failure` in words."""
    record: dict[str, Any] = {
        "points": [point.summary() for point in several.points],
        "choice": None,
        "failure": "",
    }
    try:
        record["choice"] = choose_eps(several.points, where=where).summary()
    except LabelError as error:
        record["failure"] = str(error)
    return record
