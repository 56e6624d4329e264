"""The text representations of a block as files, and how they follow the labels (DRU) or stay.

<block> is `<scenario>-<g>` in a prompts step, and `<g>` in a scenario's match step:

text-<block>.npy            T [K, D], one row per cluster
instance-text-<block>.npy   t [N, D], one row per image, in order of sample_id
text-cluster-<block>.npy    int64 [N], in a prompts step only: the cluster whose T^0 the image has
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itkm_core.storage.place import Place


@dataclass(frozen=True)
class MovedTexts:
    """The texts of one block that belong to a round's labels."""

    clusters: np.ndarray  # T [K, D]
    instances: np.ndarray  # t [N, D]

    def write(self, step: Place, block: str) -> None:
        (step / f"text-{block}.npy").write_array(self.clusters)
        (step / f"instance-text-{block}.npy").write_array(self.instances)


def read_texts(step: Place, block: str) -> MovedTexts:
    """What `MovedTexts.write` wrote."""
    return MovedTexts(
        (step / f"text-{block}.npy").read_array(),
        (step / f"instance-text-{block}.npy").read_array(),
    )


@dataclass(frozen=True)
class Texts:
    """Where the texts of one block are, before the labels of a round move them."""

    step: Place
    block: str

    def moved(self, labels: np.ndarray, rho: float | None) -> MovedTexts:
        """The texts of the clusters and images of new labels, int64 [N].

        With `rho` they move as in DRU: T becomes the mean of the members' t, then t moves towards T. With
        None t stays, and T is the T^0 that most members have (for Stage II's files only).

        Raises:
            FeatureError, LabelError: the labels and the texts are of different images.
        """
        from itkm_core.learning.text_update import (
            cluster_text,
            majority_text,
            update_instance_text,
        )

        texts = read_texts(self.step, self.block)
        if rho is None:
            owners = (self.step / f"text-cluster-{self.block}.npy").read_array()
            return MovedTexts(majority_text(owners, labels, texts.clusters), texts.instances)
        moved = cluster_text(texts.instances, labels)
        return MovedTexts(
            moved, update_instance_text(texts.instances, moved, labels, rho).astype(np.float32)
        )
