"""Labelling one block, alone or against an index, or sweeping it: what both forms of `itkm label` do.

`--features` calls it in its own process, `--corpus` in Ray tasks (`corpus_tasks.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.clustering import LabelOptions, PseudoLabels
from itkm_core.clustering.arrivals.label import Arrivals, Known
from itkm_core.clustering.auto_eps import label_rows, sweep_rows, swept
from itkm_core.clustering.cameras import CameraMeans, camera_means, without_means
from itkm_core.clustering.guards import Condition, check, describe
from itkm_core.errors import LabelError
from itkm_core.links.means import unit_vectors
from itkm_core.links.units import Links
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Workers
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import label_table
from pipelines.config_labels import LabelConfig
from pipelines.label.against import Against
from pipelines.label.index import GroupRecord, write_group
from pipelines.steps.label import link_facts

PARAMETERS_FILE = "parameters.json"


@dataclass(frozen=True)
class Images:
    """The images of one block, as one call labels them.

    `ids` int64 [N]: as in the label table; in the index they are `first_id` larger. `features` [N, D]: unit rows.
    `cameras` int [N] if features are compared without their camera's mean, else None. `links`: what is known of them.
    """

    block: Block
    ids: np.ndarray
    features: np.ndarray
    cameras: np.ndarray | None = None
    first_id: int = 0
    links: Links | None = None

    def compared(self) -> tuple[np.ndarray, CameraMeans | None]:
        """The features as they are compared with each other, and the means taken away from them."""
        if self.cameras is None:
            return self.features, None
        means = camera_means(self.features, self.cameras)
        return without_means(self.features, self.cameras, means), means

    def known(
        self, rows: np.ndarray, labels: np.ndarray, is_core: np.ndarray, neighbors: np.ndarray
    ) -> Known:
        """What images that arrive later are compared with. rows: see `compared`; the others as in `PseudoLabels`."""
        order = np.argsort(self.ids, kind="stable")
        rows = unit_rows(rows)
        if (order[1:] < order[:-1]).any():
            rows = rows[order]
        ids = self.first_id + self.ids[order]
        if self.links is None or self.links.say_nothing:
            return Known(ids, rows, neighbors, labels[order], is_core[order])
        unit_of = self.links.take(order).unit_of
        _, first, frames = np.unique(unit_of, return_index=True, return_counts=True)
        mine = labels[order][first], is_core[order][first]
        return Known(ids[first], unit_vectors(rows, unit_of), neighbors, *mine, frames)

    @property
    def largest_id(self) -> int:
        """The largest sample id, as the index has it."""
        return self.first_id + int(self.ids.max())


@dataclass(frozen=True)
class GroupLabels:
    """The labels of one block: their table, `parameters` as plain JSON values, `facts` for the printed table, `notes`
    for the user, and what the index keeps: `known` images and, if features are compared so, the camera `means`."""

    block: Block
    table: pa.Table
    parameters: dict[str, Any]
    facts: dict[str, Any]
    notes: list[str]
    known: Known
    means: CameraMeans | None
    largest_id: int

    def write_index(self, index: Place) -> GroupRecord:
        return write_group(
            index,
            self.block.file_name,
            self.known,
            self.parameters,
            self.means,
            largest_id=self.largest_id,
        )


def label_images(
    images: Images,
    options: LabelOptions,
    against: Against | None = None,
    workers: Workers | None = None,
) -> GroupLabels:
    """Label a block against the block of that name in `against`, or alone with `options` if there is none.

    Labels that cannot be learnt from are an answer here, with a note.

    Raises:
        FeatureError: rows or ids that do not fit those of `against`.
        LabelError: eps is "auto", and no candidate gives labels that could be learnt from.
        StorageError: a file of `against` is damaged.
    """
    name = images.block.name
    notes: list[str] = []
    found: PseudoLabels | Arrivals
    with _noted(notes, name):
        if against is not None and against.knows(name):
            found, means = against.label(
                name,
                images.features,
                images.first_id + images.ids,
                images.cameras,
                workers,
                images.links,
            )
            known, parameters, eps_reason = found.known, found.parameters, ""
        else:
            rows, means = images.compared()
            labelled = label_rows(
                rows, images.ids, options, where=name, workers=workers, links=images.links
            )
            if labelled.failure:
                raise LabelError(labelled.failure)
            found, parameters, eps_reason = labelled.found, labelled.parameters, labelled.reason
            known = images.known(rows, found.labels, found.is_core, found.neighbors)
    if against is not None and not against.knows(name):
        notes.append(f"{name}: {against.run} has no such group; labelled on its own")
    return GroupLabels(
        images.block,
        label_table(images.block, images.ids, found.labels, found.is_core, found.confidence),
        parameters,
        {**_facts(found), **link_facts(parameters), "where": name, "eps_reason": eps_reason},
        notes + _notes(name, found),
        known,
        means,
        max(images.largest_id, 0 if against is None else against.largest_id(name)),
    )


def sweep_options(labels: LabelConfig, scenario: str) -> LabelOptions:
    """As a scenario is labelled, but at each of the `eps_candidates`."""
    own = labels.for_scenario(scenario)
    return replace(own, eps="auto", eps_candidates=labels.eps_candidates)


def sweep_images(
    images: Images, options: LabelOptions, workers: Workers | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What each of the `eps_candidates` gives, as `swept` records it, and notes for the user."""
    name = images.block.name
    notes: list[str] = []
    with _noted(notes, name):
        rows, _ = images.compared()
        found = sweep_rows(
            rows, images.ids, options, where=name, workers=workers, links=images.links
        )
    return swept(found, where=name), notes


def _facts(found: PseudoLabels | Arrivals) -> dict[str, Any]:
    """The values of `tables.labels_table` and `tables.arrivals_table`; images labelled alone join no cluster."""
    labels, parameters = found.labels, found.parameters
    sizes = np.bincount(labels[labels >= 0])
    clusters = int((sizes > 0).sum())
    return {
        "images": len(labels),
        "known": parameters.get("num_known", 0),
        "joined": parameters.get("num_joined", 0),
        "clusters": clusters,
        "new_clusters": parameters.get("new_clusters", clusters),
        "outlier_share": float(np.mean(labels < 0)),
        "largest_share": float(sizes.max(initial=0) / len(labels)),
        "eps": parameters["eps"],
        "condition": _condition(found).value,
    }


def _condition(found: PseudoLabels | Arrivals) -> Condition:
    return check(found.labels if isinstance(found, PseudoLabels) else found.known.labels)


def _notes(name: str, found: PseudoLabels | Arrivals) -> list[str]:
    """What a user should know about a block's labels."""
    asked, notes = found.parameters, []
    condition = _condition(found)
    if condition is not Condition.OK:
        notes.append(describe(condition, where=name, eps=asked["eps"], k1=asked["k1"]))
    elif (found.labels < 0).all():
        notes.append(
            f"{name}: all new images are outliers: none is near a known cluster, and too few are alike for a new one"
        )
    if asked.get("would_merge"):
        notes.append(
            f"{name}: pairs of known clusters that now touch: {len(asked['would_merge']):,}; labelling everything "
            f"again would merge them ({PARAMETERS_FILE}, would_merge)"
        )
    if asked.get("outliers_near"):
        notes.append(
            f"{name}: known outliers that are now near new core images: {asked['outliers_near']:,}; labelling "
            "everything again would put them in clusters"
        )
    return notes


@contextmanager
def _noted(notes: list[str], name: str) -> Iterator[None]:
    """Turn Python's warnings into notes, which are printed with the table and not before it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    # Those of libraries, of other categories, are not about the labels.
    notes += [f"{name}: {each.message}" for each in caught if each.category is UserWarning]
