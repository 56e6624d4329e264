"""Labels of one group's images for both forms of `itkm label`, alone or against an index, and what to keep of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from itkm_core.clustering import LabelOptions, PseudoLabels
from itkm_core.clustering.arrivals.label import Arrivals, Known, label_arrivals
from itkm_core.clustering.cameras import CameraMeans, camera_means, without_means
from itkm_core.clustering.guards import Condition, check, describe
from itkm_core.errors import ConfigError, FeatureError
from itkm_core.neighbors.unit_rows import unit_rows
from itkm_core.neighbors.workers import Workers
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import UNGROUPED
from pipelines.label.index import GroupRecord, Index, read_group, write_group

PARAMETERS_FILE = "parameters.json"


@dataclass(frozen=True)
class Against:
    """The run whose labels new images get, as it was typed, and its index."""

    run: str
    index: Index

    def label(
        self,
        name: str,
        features: np.ndarray,
        ids: np.ndarray,
        cameras: np.ndarray | None = None,
        workers: Workers | None = None,
    ) -> tuple[Arrivals, CameraMeans | None]:
        """Label unit rows [M, D] of new images of the group `name`; `cameras` [M] where the index has camera means.

        Returns also the means of all cameras seen so far.

        Raises:
            StorageError: the group's files are damaged.
            FeatureError: rows or ids that do not go with the group's.
        """
        record = self.index.groups[name]
        known, means = read_group(self.index.place, record)
        if means is not None and cameras is not None:
            means = camera_means(features, cameras, known=means)
            features = without_means(features, cameras, means)
        try:
            found = label_arrivals(
                known, features, LabelOptions(**record.parameters), sample_ids=ids, workers=workers
            )
        except FeatureError as error:
            raise FeatureError(f"{name}, against {self.run}: {error}") from error
        return found, means

    def origin(self) -> dict[str, Any]:
        """What parameters.json says of it."""
        images = sum(group.num_images for group in self.index.groups.values())
        return {"path": self.run, "digest": self.index.digest, "images": images}

    def check_fit(self, out: str, *, grouped: bool) -> None:
        """Before anything is read: whether images with scenarios and groups, or without, go with it.

        Raises:
            ConfigError: `out` is the run itself.
            FeatureError: one has scenarios and groups, and the other has not.
        """
        if Place.at(self.run).is_same(Place.at(out)):
            raise ConfigError(
                f"--out {out} is the --against folder itself, whose labels must stay: give another, which the "
                "next --against can then name"
            )
        theirs = UNGROUPED.name not in self.index.groups
        if grouped and not theirs:
            raise FeatureError(
                f"--against {self.run}: its images have no scenario and group, and the new ones have; expected "
                ".npy, or .parquet without these columns"
            )
        if theirs and not grouped:
            raise FeatureError(
                f"--against {self.run}: its images have a scenario and a group; expected .parquet with both "
                "columns, or a corpus"
            )

    def check_ids(self, ids: np.ndarray) -> None:
        """FeatureError where a new image has the id of a known one, of whatever group."""
        both = np.intersect1d(self.index.sample_ids(), ids)
        if len(both):
            raise FeatureError(
                f"{len(both):,} of {len(ids):,} sample ids are those of images in {self.run}, the first is "
                f"{both[0]}; expected ids from {self.index.next_id} on, or others that are free"
            )


def known_images(
    features: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    is_core: np.ndarray,
    neighbors: np.ndarray,
) -> Known:
    """Images that were labelled together, as those that arrive later are compared; `neighbors` of `PseudoLabels`."""
    order = np.argsort(ids, kind="stable")
    rows = unit_rows(features)
    if (order[1:] < order[:-1]).any():
        rows = rows[order]
    return Known(ids[order], rows, neighbors, labels[order], is_core[order])


def notes_of(name: str, found: PseudoLabels | Arrivals) -> list[str]:
    """What a person should know of a group's labels."""
    asked, notes = found.parameters, []
    labels = found.labels if isinstance(found, PseudoLabels) else found.known.labels
    condition = check(labels)
    if condition is not Condition.OK:
        notes.append(describe(condition, where=name, eps=asked["eps"], k1=asked["k1"]))
    elif (found.labels < 0).all():
        notes.append(
            f"{name}: all new images are outliers: near no known cluster, and too few of a kind for a new one"
        )
    if asked.get("would_merge"):
        notes.append(
            f"{name}: pairs of known clusters that now touch: {len(asked['would_merge']):,}; labelling everything "
            f"anew would merge them ({PARAMETERS_FILE}, would_merge)"
        )
    if asked.get("outliers_near"):
        notes.append(
            f"{name}: known outliers that are now near new core images: {asked['outliers_near']:,}; labelling "
            "everything anew would give them a cluster"
        )
    return notes


def alone_note(name: str, against: Against) -> str:
    return f"{name}: {against.run} has no such group; labelled on its own"


def facts_of(name: str, found: Arrivals) -> dict[str, Any]:
    """A line of `label_tables.arrivals_table`."""
    asked = found.parameters
    return {
        "where": name,
        "known": asked["num_known"],
        "images": len(found.labels),
        "joined": asked["num_joined"],
        "new_clusters": asked["new_clusters"],
        "outlier_share": float(np.mean(found.labels < 0)),
    }


def alone_facts(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """As `facts_of`, of a group that was labelled alone, from its line of `label_tables.labels_table`."""
    shared = {key: facts[key] for key in ("images", "outlier_share")}
    return {"where": name, "known": 0, "joined": 0, **shared, "new_clusters": facts["clusters"]}


def finish_index(index: Index, groups: Mapping[str, GroupRecord], against: Against | None) -> None:
    """Write index.json of `groups`, which are in place, and of the groups of `against` that got no new image."""
    kept = {}
    for name, record in (against.index.groups if against else {}).items():
        if against is not None and name not in groups:
            known, cameras = read_group(against.index.place, record)
            kept[name] = write_group(index.place, record.folder, known, record.parameters, cameras)
    replace(index, groups={**kept, **groups}).write()
