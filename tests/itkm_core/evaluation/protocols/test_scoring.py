"""What is summed up over draws, and what is said where a draw has no score."""

from __future__ import annotations

import math
import statistics

import numpy as np
from naive_protocol import as_tested, make_images

from itkm_core.evaluation.protocols.scoring import score_settings
from itkm_core.evaluation.protocols.setting import Draw, Setting
from itkm_core.evaluation.rules import Rules


def test_a_draw_without_matches_leaves_no_mean() -> None:
    images, features = make_images([(0, 1, "query"), (0, 2, "gallery")], few=1)
    tested = as_tested(images)
    query, gallery = tested.rows("query"), tested.rows("gallery")
    own, other = (gallery[(tested.person[gallery] == 1) == same] for same in (True, False))
    asking = query[tested.person[query] == 1]
    draws = (Draw(asking, own), Draw(asking, other))
    rows = np.arange(len(features))
    setting = Setting("some", 0, 0, Rules(), draws)
    (score,) = score_settings("it", [setting], tested, features, rows)
    assert (score.num_queries, score.num_skipped) == (len(asking), len(asking))
    found = score.summary()
    assert found["mean_ap"] is None
    assert found["std"]["mean_ap"] is None
    assert found["num_draws"] == 2
    assert found["num_queries"] == round(len(asking) / 2)


def test_deviations_are_those_of_a_sample() -> None:
    images, features = make_images([(0, 1, "query"), (0, 2, "gallery")], few=1)
    tested = as_tested(images)
    query, gallery = tested.rows("query"), tested.rows("gallery")
    draws = tuple(Draw(query[start::3], gallery) for start in range(3))
    setting = Setting("thirds", 0, 0, Rules(), draws)
    (score,) = score_settings("it", [setting], tested, features, np.arange(len(features)))
    values = [ranking.mean_ap for ranking in score.rankings]
    found = score.summary()
    assert math.isclose(found["mean_ap"], statistics.fmean(values), rel_tol=1e-12)
    assert math.isclose(found["std"]["mean_ap"], statistics.stdev(values), rel_tol=1e-12)
