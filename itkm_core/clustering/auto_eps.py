"""Labels of one group's features with the options of a recipe: at a given eps, or at one chosen by a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itkm_core.clustering.link_errors import LinkErrors, link_errors
from itkm_core.clustering.linked_space import in_order, label_space
from itkm_core.clustering.options import LabelOptions
from itkm_core.clustering.plateau import choose_eps
from itkm_core.clustering.pseudo_labels import PseudoLabels
from itkm_core.clustering.sweep import Sweep, sweep_with
from itkm_core.errors import LabelError
from itkm_core.links.units import Links
from itkm_core.neighbors.kernels import thread_count
from itkm_core.neighbors.workers import Threads, Workers


@dataclass(frozen=True)
class Labelled:
    """`found`, and for `eps: auto` why at this value, or in `failure` why none could be chosen.

    After a failure `found` has the labels at the largest candidate, which `check` does not call OK.
    `parameters`: those of `found`; for `eps: auto` also `eps_asked`, `eps_reason` and `sweep` (see `swept`); for
    `k1: auto` `k1_asked`, `k1_reason` and `k1_points`; with links `merge_errors` and `split_errors` (see `LinkErrors`).
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
    links: Links | None = None,
) -> Labelled:
    """Label unit rows [N, D] of the images `ids` int64 [N].

    `workers`: who computes; this process's threads unless given. `links`: what is known of the images, in their order;
    links that say nothing change nothing.

    Raises LabelError for a k1 to choose where there are no tracklets to choose by.
    """
    by: Workers = workers or Threads(thread_count())
    links = None if links is None or links.say_nothing else links
    options, errors, known = _told(features, ids, options, links, where, by)
    if options.eps != "auto":
        space = label_space(features, options, sample_ids=ids, workers=by, links=links)
        found = space.labels_at(options.eps)
        mine = errors[options.eps].summary() if errors else {}
        return Labelled(found, {**found.parameters, **known, **mine})
    several = sweep_with(features, options, sample_ids=ids, workers=by, links=links, errors=errors)
    record = swept(several, where=where)
    choice = record["choice"]
    at = -1 if choice is None else choice["index"]
    found = several.pseudo_labels(at)
    reason, failure = ("", record["failure"]) if choice is None else (choice["reason"], "")
    chosen = several.points[at].errors
    mine = {} if chosen is None else chosen.summary()
    parameters = {**found.parameters, **known, **mine}
    parameters |= {"eps_asked": "auto", "eps_reason": reason or failure}
    return Labelled(found, {**parameters, "sweep": record}, reason, failure)


def sweep_rows(
    features: np.ndarray,
    ids: np.ndarray,
    options: LabelOptions,
    *,
    where: str,
    workers: Workers | None = None,
    links: Links | None = None,
) -> Sweep:
    """The sweep that `label_rows` chooses eps by, which are its arguments."""
    by: Workers = workers or Threads(thread_count())
    links = None if links is None or links.say_nothing else links
    options, errors, _ = _told(features, ids, options, links, where, by)
    return sweep_with(features, options, sample_ids=ids, workers=by, links=links, errors=errors)


def _told(
    features: np.ndarray,
    ids: np.ndarray,
    options: LabelOptions,
    links: Links | None,
    where: str,
    workers: Workers,
) -> tuple[LabelOptions, dict[float, LinkErrors], dict[str, Any]]:
    """The options with their k1, the errors at each eps, and why this k1, as parameters."""
    if links is None:
        if options.k1_candidates:
            raise LabelError(f"{where}: {_NO_TRACKLETS}")
        return options, {}, {}
    values = options.eps_candidates if options.eps == "auto" else (options.eps,)
    rows, links, _ = in_order(features, links, ids)
    found = link_errors(rows, links, options, eps_values=values, workers=workers)
    if not options.k1_candidates:
        return options, {eps: found[options.k1, eps] for eps in values}, {}
    total = {key: each.total for key, each in found.items() if each.total is not None}
    if not total:
        raise LabelError(f"{where}: {_NO_TRACKLETS}")
    k1, eps = min(total, key=lambda key: (total[key], *key))
    reason = f"{found[k1, eps].in_words()} at eps {eps:g}, the lowest sum"
    points = [{"k1": k, "eps": e, **each.summary()} for (k, e), each in found.items()]
    known = {"k1_asked": "auto", "k1_reason": reason, "k1_points": points}
    return options.with_k1(k1), {eps: found[k1, eps] for eps in values}, known


_NO_TRACKLETS = (
    "labels.k1=auto chooses by tracklets, and needs tracklets of several images and pairs of them in one camera at the "
    "same time; give a number instead, about the images of one person in the group"
)


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
