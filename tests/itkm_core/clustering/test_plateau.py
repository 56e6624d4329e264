from __future__ import annotations

import numpy as np
import pytest

from itkm_core.clustering import Condition, SweepPoint, choose_eps, sweep
from itkm_core.clustering.sweep import eps_range
from itkm_core.errors import LabelError

OK, NOISE, GIANT = Condition.OK, Condition.ALL_NOISE, Condition.ONE_GIANT_CLUSTER


def points(*rows):
    """(AMI to the next, outlier share, largest share, silhouette, condition) from eps 0.1 on in steps of 0.1."""
    return [
        SweepPoint(round(0.1 * (at + 1), 1), 9, noise, largest, clear, ami, condition)
        for at, (ami, noise, largest, clear, condition) in enumerate(rows)
    ]


def test_the_longest_run_of_strong_links_and_the_clearest_value_in_it():
    choice = choose_eps(
        points(
            (0.99, 0.1, 0.01, 0.9, OK),  # the strongest link, but a run of one
            (0.50, 0.1, 0.01, 0.8, OK),
            (0.95, 0.1, 0.01, 0.3, OK),
            (0.93, 0.1, 0.01, 0.5, OK),
            (0.60, 0.1, 0.01, 0.4, OK),
            (None, 0.1, 0.01, 0.95, OK),
        )
    )
    assert (choice.eps, choice.plateau, choice.index) == (0.4, (0.3, 0.4, 0.5), 3)
    assert choice.reason == (
        "from 0.3 to 0.5 the labels change least (AMI 0.93 or more between neighbouring values); "
        "silhouette 0.500 is the largest there"
    )
    assert choice.summary()["plateau"] == [0.3, 0.4, 0.5]


def test_agreement_of_noise_and_of_a_flood_counts_for_little():
    choice = choose_eps(
        points(
            (1.00, 0.98, 0.01, 0.9, OK),
            (1.00, 0.98, 0.01, 0.9, OK),
            (0.30, 0.97, 0.01, 0.1, OK),
            (0.80, 0.20, 0.05, 0.3, OK),
            (0.30, 0.15, 0.05, 0.2, OK),
            (0.98, 0.01, 0.45, 0.9, OK),
            (0.98, 0.01, 0.45, 0.9, OK),
            (None, 0.01, 0.45, 0.9, OK),
        )
    )
    assert choice.plateau == (0.4, 0.5)


def test_values_that_cannot_be_learnt_from_are_in_no_plateau():
    choice = choose_eps(
        points(
            (1.0, 1.0, 0.0, None, NOISE),
            (0.9, 1.0, 0.0, None, NOISE),
            (0.7, 0.3, 0.1, 0.2, OK),
            (0.9, 0.3, 0.1, 0.1, OK),
            (1.0, 0.0, 0.9, 0.9, GIANT),
            (None, 0.0, 0.9, 0.9, GIANT),
        )
    )
    assert (choice.eps, choice.plateau) == (0.3, (0.3, 0.4))


@pytest.mark.parametrize(
    ("rows", "eps", "said"),
    [
        ([(None, 0.1, 0.1, 0.3, OK)], 0.1, "the only value"),
        ([(0.9, 1.0, 0.0, None, NOISE), (None, 0.1, 0.1, None, OK)], 0.2, "the only value"),
        (
            [(0.5, 0.1, 0.1, 0.2, OK), (0.5, 0, 0.8, 0.9, GIANT), (None, 0.1, 0.1, 0.3, OK)],
            0.3,
            "no two neighbouring values",
        ),
    ],
)
def test_usable_values_without_a_link(rows, eps, said):
    choice = choose_eps(points(*rows))
    assert choice.eps == eps
    assert choice.plateau == (eps,)
    assert choice.reason.startswith(said)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [(1.0, 1, 0, None, NOISE), (None, 1, 0, None, NOISE)],
            "0.1 all_noise, 0.2 all_noise.*larger",
        ),
        ([(1.0, 1, 0, None, NOISE), (None, 0, 1, None, GIANT)], "one_giant_cluster.*smaller"),
    ],
)
def test_no_usable_value_is_an_error_that_names_what_was_found(rows, said):
    with pytest.raises(LabelError, match=f"uvi/0: no eps.*{said}"):
        choose_eps(points(*rows), where="uvi/0")


def test_it_finds_people(make):
    rows = make.people(60, 10, 64, 1.3, 1)
    found = sweep(rows, eps_values=eps_range(0.3, 0.8, 0.05), k1=20)
    choice = choose_eps(found.points)
    truth = np.repeat(np.arange(60), 10)
    from sklearn.metrics import adjusted_rand_score

    scores = [adjusted_rand_score(truth, each.labels) for each in found.clusterings]
    assert scores[choice.index] > max(scores) - 0.1
    assert min(scores) < max(scores) - 0.3, "any value would have done"
