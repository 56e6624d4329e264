import numpy as np
import pytest

from itkm_core.clustering import Condition, check, describe, keep_or_stop
from itkm_core.errors import LabelError

GOOD = np.array([0, 0, 1, 1, -1])
NOISE = np.full(5, -1)
GIANT = np.array([0, 0, 0, 1, -1])


@pytest.mark.parametrize(
    ("labels", "condition"),
    [
        ([], "no_clusters"),
        ([-1], "all_noise"),
        (NOISE, "all_noise"),
        (GIANT, "one_giant_cluster"),
        ([0], "one_giant_cluster"),
        ([0, 0, 1, -1], "ok"),  # exactly half is not more than half
        ([0, 0, -1, -1], "ok"),
        (GOOD, "ok"),
        ([10**12, 10**12, 3, 3], "ok"),
    ],
)
def test_conditions(labels, condition):
    assert check(labels) is Condition(condition)


def test_the_share_is_a_parameter():
    assert check(GOOD, max_cluster_share=0.3) is Condition.ONE_GIANT_CLUSTER
    assert check(GIANT, max_cluster_share=0.6) is Condition.OK


@pytest.mark.parametrize("condition", list(Condition))
def test_every_condition_is_described(condition):
    line = describe(condition, where="day-night/1", eps=0.6, k1=30)
    assert line.startswith("day-night/1: ")
    assert "\n" not in line


@pytest.mark.parametrize("labels", [NOISE, GIANT])
def test_without_earlier_labels_it_stops_with_what_to_change(labels):
    with pytest.raises(LabelError, match=r"visible/0.*eps.*0\.55.*k1.*12"):
        keep_or_stop(labels, where="visible/0", eps=0.55, k1=12)


def test_good_labels_replace_earlier_ones():
    labels, condition = keep_or_stop(GOOD, NOISE, where="x", eps=0.6, k1=30)
    assert labels is GOOD
    assert condition is Condition.OK


def test_bad_labels_do_not():
    labels, condition = keep_or_stop(GIANT, GOOD, where="x", eps=0.6, k1=30)
    assert labels is GOOD
    assert condition is Condition.ONE_GIANT_CLUSTER


def test_earlier_labels_of_other_images_are_refused():
    with pytest.raises(LabelError, match="4 earlier labels for 5 images"):
        keep_or_stop(GIANT, GOOD[:4], where="x", eps=0.6, k1=30)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [[0], [1]], 3])
def test_what_is_no_labels_is_refused(labels):
    with pytest.raises(LabelError, match="expected integers"):
        check(labels)
