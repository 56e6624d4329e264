"""`Retrieval` against a twin that compares every pair and keeps it: answers, error rates and the open set."""

import math
from itertools import pairwise

import numpy as np
import pytest
from made import unit_noise

from itkm_core.evaluation import Rules, retrieve
from itkm_core.evaluation.verification import STEPS

RULES = Rules(same_clothes=True, blind=frozenset({(0, 1), (2, 2)}))


def make_case(seed, coarse):
    """Junk, distractors, unknown cameras and clothes all occur. Coarse rows tie."""
    rng = np.random.default_rng(seed)

    def features(count):
        if coarse:
            return rng.choice([-0.5, 0.5], size=(count, 4)).astype(np.float32)
        return unit_noise(count, 6, rng)

    def side(count, most):
        return rng.integers(-1, most, count), rng.integers(-1, 3, count), rng.integers(-1, 2, count)

    query, gallery = features(21), features(70)
    return (query, gallery), side(21, 9), side(70, 7)


def naive_answers(features, query, gallery):
    """Of each query: (cosine, gallery row, shows its person) of what the rules leave in, best first."""
    found = []
    for q, (person, camera, clothes) in enumerate(zip(*query, strict=True)):
        answers = []
        for g, (other, there, worn) in enumerate(zip(*gallery, strict=True)):
            same = person == other and person > 0
            if other == -1 or (camera, there) in RULES.blind:
                continue
            if same and ((camera == there != -1) or (clothes == worn != -1)):
                continue
            a, b = np.float64(features[0][q]), np.float64(features[1][g])
            cosine = np.float32(math.fsum(a * b) / math.sqrt(math.fsum(a * a) * math.fsum(b * b)))
            answers.append((float(cosine), g, bool(same)))
        found.append(sorted(answers, key=lambda answer: (-answer[0], answer[1])))
    return found


def retrieved(case, **options):
    features, query, gallery = case
    columns = [column for pair in zip(query, gallery, strict=True) for column in pair]
    *known, query_clothes, gallery_clothes = columns
    clothes = {"query_clothes": query_clothes, "gallery_clothes": gallery_clothes}
    return retrieve(*features, *known, rules=RULES, **clothes, **options)


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("num_answers", [1, 5, 70, 100])
def test_answers_agree_with_sorting(num_answers, coarse):
    case = make_case(0, coarse)
    got = retrieved(case, num_answers=num_answers, block=8)
    assert got.answers.shape == (21, min(num_answers, 70))
    for q, answers in enumerate(naive_answers(*case)):
        count = min(len(answers), got.answers.shape[1])
        scores, rows, right = zip(*answers[:count], strict=True)
        assert got.answers[q].tolist() == [*rows, *[-1] * (got.answers.shape[1] - count)]
        assert got.matched[q, :count].tolist() == list(right)
        assert not got.matched[q, count:].any()
        np.testing.assert_allclose(got.scores[q, :count], scores, rtol=0, atol=1e-7)
        assert np.isnan(got.scores[q, count:]).all()


def test_answers_have_the_sample_ids_of_the_gallery():
    got = retrieved(make_case(0, False), num_answers=70)
    named = got.named(np.arange(70) * 10)
    np.testing.assert_array_equal(named, np.where(got.answers < 0, -1, got.answers * 10))
    assert (named < 0).any()  # junk leaves places empty


@pytest.mark.parametrize("coarse", [False, True])
def test_error_rates_agree_with_every_pair(coarse):
    case = make_case(1, coarse)
    got = retrieved(case, block=5).ranking.verification
    known = [a for person, a in zip(case[1][0], naive_answers(*case), strict=True) if person > 0]
    pairs = [(score, same) for answers in known for score, _, same in answers]
    one = np.array([score for score, same in pairs if same])
    two = np.array([score for score, same in pairs if not same])
    for threshold in (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5):
        rates = got.at(threshold)
        np.testing.assert_allclose(rates.fmr, (two >= threshold).mean(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(rates.fnmr, (one < threshold).mean(), rtol=0, atol=1e-12)
    for target in (0.5, 0.1, 0.01, 0.001):
        places = np.arange(-STEPS, STEPS + 2) / STEPS
        threshold = next(t for t in places if (two >= t).mean() <= target)
        errors = got.at_fmr(target)
        assert errors.threshold == threshold
        np.testing.assert_allclose(errors.fnmr, (one < threshold).mean(), rtol=0, atol=1e-12)
    assert (got.genuine.sum(), got.impostor.sum()) == (len(one), len(two))


def test_curve_goes_from_all_accepted_to_none():
    curve = retrieved(make_case(1, False)).ranking.verification.curve(50)
    assert len(curve) == 50
    assert (curve[0].fmr, curve[0].fnmr) == (1.0, 0.0)
    assert (curve[-1].fmr, curve[-1].fnmr) == (0.0, 1.0)
    assert all(a.fmr >= b.fmr and a.fnmr <= b.fnmr for a, b in pairwise(curve))


@pytest.mark.parametrize("coarse", [False, True])
def test_open_set_agrees_with_taking_people_out(coarse):
    case = make_case(2, coarse)
    got = retrieved(case).ranking.open_set
    known, new = [], []
    for person, answers in zip(case[1][0], naive_answers(*case), strict=True):
        if person <= 0:
            continue
        if any(same for _, _, same in answers):
            known.append(answers[0][0])
        new.append(next(score for score, _, same in answers if not same))
    wins = [(a > b) + (a == b) / 2 for a in known for b in new]
    np.testing.assert_allclose(got.auc, np.mean(wins), rtol=0, atol=1e-7)
    for threshold in np.float32([*known, -2, 2, 0.1]):
        errors = got.at(float(threshold))
        assert errors.new_missed == pytest.approx(np.mean(np.float32(new) >= threshold))
        assert errors.known_missed == pytest.approx(np.mean(np.float32(known) < threshold))
    gap = lambda t: abs(got.at(t).new_missed - got.at(t).known_missed)  # noqa: E731
    trials = sorted({*got.known.tolist(), *got.new.tolist()})
    assert got.equal().threshold == min(trials, key=lambda t: (gap(t), t))


def test_a_search_needs_no_identities():
    features, _, _ = make_case(3, False)
    got = retrieve(*features, num_answers=4)
    best = np.argsort(-(features[0] @ features[1].T), axis=1)[:, :4]
    np.testing.assert_array_equal(got.answers, best)
    summary = got.ranking.summary()
    assert summary["mean_ap"] is None
    assert summary["fnmr_at_fmr_0.01"] is None
    assert summary["open_set_auc"] is None
    assert not got.matched.any()
    assert got.ranking.verification.curve() == []


def test_empty_sides():
    features, _, _ = make_case(3, False)
    assert retrieve(features[0][:0], features[1]).answers.shape == (0, 20)
    assert retrieve(features[0], features[1][:0]).answers.shape == (21, 0)


def test_bad_number_of_answers():
    with pytest.raises(ValueError, match="num_answers must be at least 1"):
        retrieve(*make_case(0, False)[0], num_answers=0)
