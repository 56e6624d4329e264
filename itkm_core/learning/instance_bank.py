"""Instance bank: one unit vector per image of a block, moved towards the image's newest features.

docs/definition.md, "IHM". N images, D dimensions, B images of a step in global batch order.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from itkm_core.errors import FeatureError, TrainingError
from itkm_core.learning.memory import move_towards
from itkm_core.neighbors.lookup import Lookup


class InstanceBank:
    """The features of one (scenario, group) as this round extracted them, on one device.

    Attributes:
        features: float32 [N, D]; rows stay in the order given, which is the order that links
            between banks refer to.
    """

    def __init__(
        self, sample_ids: NDArray[np.int64], features: Tensor | NDArray[np.float32]
    ) -> None:
        """
        Args:
            sample_ids: int64 [N], distinct, in any order; outliers included.
            features: [N, D], unit rows; copied.

        Raises:
            FeatureError: not one feature per sample id, or repeated ids.
        """
        rows = torch.as_tensor(features)
        self._by_id = Lookup(sample_ids)
        repeated = len(self._by_id.repeated)
        if rows.ndim != 2 or len(rows) != len(sample_ids) or repeated:
            raise FeatureError(
                f"features {tuple(rows.shape)} for {len(sample_ids)} sample ids, {repeated} of "
                "them repeated: expected [N, D] and N distinct ids"
            )
        self.features = rows.detach().to(torch.float32, copy=True)

    def __len__(self) -> int:
        return len(self.features)

    def to(self, device: str | torch.device) -> InstanceBank:
        """This bank, moved to a device."""
        self.features = self.features.to(device)
        return self

    def rows(self, sample_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]: the bank's rows of these images.

        Raises:
            TrainingError: an image that is not in the bank.
        """
        rows, known = self._by_id.find(sample_ids)
        if not known.all():
            raise TrainingError(
                f"{int((~known).sum())} of {len(known)} images of a batch are not in the instance "
                f"bank of their group ({len(self)} images), such as sample "
                f"{int(sample_ids[~known][0])}: banks and labels must come from the same features"
            )
        return rows

    def update(self, features: Tensor, sample_ids: NDArray[np.int64], momentum: float) -> None:
        """b_i <- norm(mu b_i + (1 - mu) v_i) for each image in order, as the cluster memory's.

        Args:
            features: [B, D], unit rows, on the bank's device.
            sample_ids: int64 [B], on the CPU.
            momentum: mu in [0, 1].
        """
        move_towards(self.features, features, self.rows(sample_ids), momentum)
