"""Colour alone does not find a person across the groups: the world is not a matter of hue."""

from __future__ import annotations

import numpy as np
import pytest

from itkm_core.corpus.images import decode_image
from itkm_core.evaluation.ranking import rank
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import Sample, render_sample

PEOPLE = 100


def colours(sample: Sample) -> np.ndarray:
    """Square roots of 4 x 4 x 4 RGB histograms of the torso and of the legs."""
    picture = decode_image(sample.encoded(), (64, 32))[:, 8:24]
    parts = []
    for top, bottom in ((11, 32), (32, 58)):
        bins = picture[top:bottom].reshape(-1, 3).astype(int) // 64
        counts = np.bincount(bins @ (16, 4, 1), minlength=64)
        parts.append(np.sqrt(counts / counts.sum()))
    return np.concatenate(parts)


def mean_ap(config: SyntheticConfig, scenario: str, query_group: int, gallery_group: int) -> float:
    sides = []
    for group, views in ((query_group, (0, 1)), (gallery_group, (2, 3))):
        samples = [
            render_sample(config, scenario, p, group, v) for p in range(PEOPLE) for v in views
        ]
        rows = np.stack([colours(s) for s in samples])
        sides.append((rows, [s.person for s in samples], [s.camera for s in samples]))
    (q, q_ids, q_cams), (g, g_ids, g_cams) = sides
    return 100 * rank(q, g, q_ids, g_ids, q_cams, g_cams).mean_ap


@pytest.mark.parametrize("scenario", ["uvi", "ucc"])
def test_a_colour_histogram_gets_under_15_across_groups(scenario: str) -> None:
    scores = []
    for seed in (1, 2, 3):
        config = SyntheticConfig(people_train=0, people_test=PEOPLE, seed=seed)
        scores.append(mean_ap(config, scenario, 1, 0))
    assert np.mean(scores) < 15
    assert max(scores) < 18


def test_the_histogram_works_where_colour_says_who() -> None:
    easy = SyntheticConfig(people_train=0, people_test=PEOPLE, cast=0.0, noise=0.01, seed=1)
    assert mean_ap(easy, "ucr", 0, 0) > 40
