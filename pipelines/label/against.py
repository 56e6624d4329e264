"""The labels that new images are labelled against: the index of an earlier `itkm label`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from itkm_core.clustering import LabelOptions
from itkm_core.clustering.arrivals.label import Arrivals, label_arrivals
from itkm_core.clustering.cameras import CameraMeans, camera_means, without_means
from itkm_core.errors import ConfigError, FeatureError
from itkm_core.links.units import Links
from itkm_core.neighbors.lookup import MAX_ID
from itkm_core.neighbors.workers import Workers
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import UNGROUPED
from pipelines.artifacts.differences import differences
from pipelines.label.index import Index, read_group


@dataclass(frozen=True)
class Against:
    """The folder given as --against, as it was typed, and its index."""

    run: str
    index: Index

    def knows(self, name: str) -> bool:
        """Whether it has images of the block of this name."""
        return name in self.index.groups

    def label(
        self,
        name: str,
        features: np.ndarray,
        ids: np.ndarray,
        cameras: np.ndarray | None = None,
        workers: Workers | None = None,
        links: Links | None = None,
    ) -> tuple[Arrivals, CameraMeans | None]:
        """Label unit rows [M, D] of new images of the block `name`; `cameras` [M] if its index has camera
        means, `links`: what is known of them.

        Returns also the means of all cameras seen so far.

        Raises:
            StorageError: the block's files are damaged.
            FeatureError: rows or ids that do not fit those of the block.
        """
        record = self.index.groups[name]
        known, means = read_group(self.index.place, record)
        if means is not None and cameras is not None:
            means = camera_means(features, cameras, known=means)
            features = without_means(features, cameras, means)
        try:
            found = label_arrivals(
                known,
                features,
                LabelOptions(**record.parameters),
                sample_ids=ids,
                workers=workers,
                links=links,
            )
        except FeatureError as error:
            raise FeatureError(f"{name}, against {self.run}: {error}") from error
        return found, means

    def largest_id(self, name: str) -> int:
        """The largest sample id of the images of a block, -1 if it has none."""
        return self.index.groups[name].largest_id if self.knows(name) else -1

    def origin(self) -> dict[str, Any]:
        """What parameters.json says about it."""
        images = sum(group.num_images for group in self.index.groups.values())
        return {"path": self.run, "digest": self.index.digest, "images": images}

    def check_fit(self, out: str, *, grouped: bool) -> None:
        """Check, before anything is read, that images with (or without) scenarios and groups fit.

        Raises:
            ConfigError: `out` is the same folder.
            FeatureError: only one side has scenarios and groups.
        """
        if Place.at(self.run).is_same(Place.at(out)):
            raise ConfigError(
                f"--out {out} is the --against folder itself, whose labels must stay: give another folder, which the "
                "next --against can then name"
            )
        theirs = not self.knows(UNGROUPED.name)
        if grouped and not theirs:
            raise FeatureError(
                f"--against {self.run}: its images have no scenario and group, but the new ones do; expected "
                ".npy, or .parquet without these columns"
            )
        if theirs and not grouped:
            raise FeatureError(
                f"--against {self.run}: its images have a scenario and a group; expected .parquet with both "
                "columns, or a corpus"
            )

    def check_ids(self, ids: np.ndarray) -> None:
        """Raises FeatureError if a new image has the id of a known one of any block."""
        both = np.intersect1d(self.index.sample_ids(), ids)
        if len(both):
            raise FeatureError(
                f"{len(both):,} of {len(ids):,} sample ids belong to images in {self.run}, the first of them "
                f"{both[0]}; expected ids from {self.index.next_id} on, or others that are free"
            )

    def check_room(self, num_images: int) -> None:
        """Raises FeatureError if numbering that continues after the largest id would pass what int64 can hold."""
        if self.index.next_id + num_images - 1 > MAX_ID:
            raise FeatureError(
                f"--against {self.run}: {num_images:,} sample ids from {self.index.next_id} on would pass {MAX_ID}, "
                "the largest there is; label all images anew, with smaller ids"
            )

    def check_encoder(self, record: dict[str, Any]) -> None:
        """Raises ConfigError if the known features are of another encoder; unrecorded ones may be of any.

        record: see `encoder.encoder_record`.
        """
        changes = differences(self.index.encoder or record, record)
        if changes:
            shown = "\n  ".join(changes)
            raise ConfigError(
                f"--against {self.run}: its features are of another encoder and cannot be compared:\n  {shown}\n"
                "Give the --checkpoint and the configuration that its labels were made with."
            )
