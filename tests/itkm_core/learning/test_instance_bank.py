"""The instance bank against a dictionary from sample ids to vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stage_problem import unit
from torch.nn import functional as F

from itkm_core.errors import FeatureError, TrainingError
from itkm_core.learning.instance_bank import InstanceBank

IDS = np.array([40, 7, 23, 5, 99], np.int64)


def test_rows_are_found_by_sample_id_and_keep_their_order() -> None:
    bank = InstanceBank(IDS, unit(5, 0).numpy())
    asked = np.array([99, 7, 7, 40])
    assert bank.rows(asked).tolist() == [IDS.tolist().index(sample) for sample in asked]
    assert torch.equal(bank.features, unit(5, 0))
    assert len(bank) == 5
    assert bank.rows(np.array([], np.int64)).tolist() == []


@pytest.mark.parametrize("stranger", [1, 24, 100])
def test_an_image_that_is_not_in_the_bank(stranger: int) -> None:
    with pytest.raises(TrainingError, match=f"1 of 3 images .* sample {stranger}"):
        InstanceBank(IDS, unit(5, 0)).rows(np.array([7, stranger, 5]))


@pytest.mark.parametrize("momentum", [0.0, 0.2, 1.0])
def test_update_is_the_loop_bit_for_bit(momentum: float) -> None:
    bank, features = InstanceBank(IDS, unit(5, 0)), unit(6, 1)
    samples = np.array([7, 99, 7, 5, 7, 99])
    expected = dict(zip(IDS.tolist(), unit(5, 0), strict=True))
    for sample, feature in zip(samples.tolist(), features, strict=True):
        moved = momentum * expected[sample] + (1.0 - momentum) * feature
        expected[sample] = F.normalize(moved[None], dim=1)[0]
    bank.update(features.requires_grad_(), samples, momentum)
    assert torch.equal(bank.features, torch.stack([expected[sample] for sample in IDS.tolist()]))
    assert not bank.features.requires_grad


def test_a_bank_owns_its_features_in_float32() -> None:
    start = unit(5, 0).double()
    before = start.clone()
    bank = InstanceBank(IDS, start)
    bank.update(unit(1, 1), IDS[:1], 0.2)
    assert bank.features.dtype == torch.float32
    assert torch.equal(start, before)
    single = unit(5, 0)
    InstanceBank(IDS, single).update(unit(1, 1), IDS[:1], 0.2)
    assert torch.equal(single, unit(5, 0))


@pytest.mark.parametrize(
    ("ids", "message"),
    [(IDS[:4], "4 sample ids"), (np.array([1, 2, 2, 3, 3]), "2 of them repeated")],
)
def test_one_feature_for_each_of_distinct_ids(ids: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        InstanceBank(ids, unit(5, 0))
