"""`rank` against a twin of plain loops, and the protocol's rules one by one."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import unit_noise

from itkm_core.errors import CorpusError, FeatureError
from itkm_core.evaluation import Rules, rank
from itkm_core.evaluation.rules import SAME_CAMERA

MEANS = ("mean_ap", "mean_inp", "num_queries", "num_skipped")


def naive_rank(
    query,
    gallery,
    query_ids,
    gallery_ids,
    query_cameras,
    gallery_cameras,
    max_rank=20,
    rules=SAME_CAMERA,
    query_clothes=None,
    gallery_clothes=None,
):
    """One query, one gallery image at a time. Returns cmc, mAP, mINP, counted, skipped."""
    cmc, aps, inps, skipped = np.zeros(max_rank), [], [], 0
    for q in range(len(query)):
        answers = []
        for g in range(len(gallery)):
            same_person = query_ids[q] == gallery_ids[g]
            same_camera = query_cameras[q] == gallery_cameras[g] and query_cameras[q] != -1
            same_clothes = (
                rules.same_clothes
                and query_clothes[q] == gallery_clothes[g]
                and query_clothes[q] != -1
            )
            left_out = (rules.same_camera and same_camera) or same_clothes
            if gallery_ids[g] == -1 or (same_person and left_out):
                continue
            if (query_cameras[q], gallery_cameras[g]) in rules.blind:
                continue
            a, b = np.float64(query[q]), np.float64(gallery[g])
            cosine = np.float32(math.fsum(a * b) / math.sqrt(math.fsum(a * a) * math.fsum(b * b)))
            answers.append((-cosine, g, same_person and query_ids[q] > 0))
        answers.sort()
        hits = [match for _, _, match in answers]
        if not any(hits):
            skipped += 1
            continue
        ranks = [r for r, hit in enumerate(hits, start=1) if hit]
        aps.append(sum(k / r for k, r in enumerate(ranks, start=1)) / len(ranks))
        inps.append(len(ranks) / ranks[-1])
        seen, place = set(), ranks[0] - 1
        if rules.persons_once:
            place = 0
            for _, g, match in answers:
                if match:
                    break
                place += gallery_ids[g] == 0 or gallery_ids[g] not in seen
                seen.add(gallery_ids[g])
        cmc[place:] += 1
    num = len(aps)
    if not num:
        return np.full(max_rank, np.nan), np.nan, np.nan, 0, skipped
    return cmc / num, np.mean(aps), np.mean(inps), num, skipped


def check(case, **options):
    got = rank(*case, **options)
    options.pop("block", None)
    cmc, *means = naive_rank(*case, **options)
    np.testing.assert_allclose(got.cmc, cmc, rtol=0, atol=1e-12)
    for name, want in zip(MEANS, means, strict=True):
        np.testing.assert_allclose(getattr(got, name), want, rtol=0, atol=1e-12, err_msg=name)
    return got


def make_case(seed, num_query=23, num_gallery=61, dim=6, coarse=False):
    """Junk, distractors, unknown cameras and unanswerable queries all occur. Coarse rows tie."""
    rng = np.random.default_rng(seed)

    def features(n):
        if coarse:
            return rng.choice([-0.5, 0.5], size=(n, 4)).astype(np.float32)
        return unit_noise(n, dim, rng)

    return (
        features(num_query),
        features(num_gallery),
        rng.integers(-1, 9, num_query),
        rng.integers(-1, 7, num_gallery),
        rng.integers(-1, 3, num_query),
        rng.integers(-1, 3, num_gallery),
    )


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_loops(seed, coarse):
    got = check(make_case(seed, coarse=coarse))
    assert got.num_queries > 5
    assert got.num_skipped > 2  # else the case shows nothing about skipping


@settings(max_examples=100, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_query=st.integers(0, 9),
    num_gallery=st.integers(0, 25),
    coarse=st.booleans(),
    block=st.integers(1, 10),
    max_rank=st.integers(1, 30),
)
def test_agrees_with_loops_on_any_shape(seed, num_query, num_gallery, coarse, block, max_rank):
    case = make_case(seed, num_query, num_gallery, coarse=coarse)
    check(case, block=block, max_rank=max_rank)


@pytest.mark.parametrize("same_camera", [False, True])
@pytest.mark.parametrize("same_clothes", [False, True])
@pytest.mark.parametrize("persons_once", [False, True])
@pytest.mark.parametrize("blind", [(), [(0, 1), (2, 0), (2, 2)]])
def test_rules_agree_with_loops(same_camera, same_clothes, persons_once, blind):
    rules = Rules(same_camera, same_clothes, frozenset(blind), persons_once)
    case = make_case(3, num_gallery=90, coarse=True)
    rng = np.random.default_rng(4)
    clothes = {"query_clothes": rng.integers(-1, 3, 23), "gallery_clothes": rng.integers(-1, 3, 90)}
    got = check(case, rules=rules, **clothes)
    assert got.num_queries > 5
    if rules != Rules():
        assert (
            got.summary() != rank(*case, **clothes).summary()
        )  # else the case shows nothing of the rule


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("block", [1, 4, 22, 23, 1000])
def test_block_changes_nothing(block, coarse):
    case = make_case(7, coarse=coarse)
    whole, parts = rank(*case), rank(*case, block=block)
    for name in ("cmc", "query_ap", "query_inp", "query_first_rank"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_gallery_tiles_join_up(monkeypatch):
    monkeypatch.setattr("itkm_core.evaluation.cosines._TILE", 7)
    check(make_case(3))


def test_gallery_order_matters_to_ties_only():
    query, gallery, q_ids, g_ids, q_cameras, g_cameras = make_case(5)
    order = np.random.default_rng(0).permutation(len(gallery))
    straight = rank(query, gallery, q_ids, g_ids, q_cameras, g_cameras)
    shuffled = rank(query, gallery[order], q_ids, g_ids[order], q_cameras, g_cameras[order])
    np.testing.assert_array_equal(straight.query_ap, shuffled.query_ap)


def test_query_order_only_permutes_the_per_query_scores():
    query, gallery, q_ids, g_ids, q_cameras, g_cameras = make_case(6, coarse=True)
    order = np.random.default_rng(1).permutation(len(query))
    straight = rank(query, gallery, q_ids, g_ids, q_cameras, g_cameras)
    shuffled = rank(query[order], gallery, q_ids[order], g_ids, q_cameras[order], g_cameras)
    np.testing.assert_array_equal(straight.query_ap[order], shuffled.query_ap)


# One query along the first axis; a gallery image's similarity is its first coordinate.
def line(similarities):
    first = np.asarray(similarities, np.float64)
    return np.stack([first, np.sqrt(1 - first**2)], axis=1).astype(np.float32)


def rank_one(similarities, gallery_ids, gallery_cameras=None, *, query_id=5, query_camera=0):
    cameras = gallery_cameras if gallery_cameras is not None else [1] * len(gallery_ids)
    return rank(line([1.0]), line(similarities), [query_id], gallery_ids, [query_camera], cameras)


def test_scores_by_hand():
    got = rank_one([0.9, 0.8, 0.7, 0.6, 0.5], [3, 5, 4, 5, 2])
    np.testing.assert_array_equal(got.cmc[:3], [0.0, 1.0, 1.0])
    assert len(got.cmc) == 20
    assert got.cmc[-1] == 1.0  # flat beyond the gallery's end
    assert got.mean_ap == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert got.mean_inp == pytest.approx(2 / 4)
    assert got.query_first_rank.tolist() == [2]


def test_same_camera_is_left_out_for_the_same_person_only():
    got = rank_one([0.9, 0.8, 0.7], [5, 3, 5], [0, 0, 1])
    assert got.query_first_rank.tolist() == [2]  # behind person 3, whose camera does not matter
    assert got.mean_ap == pytest.approx(1 / 2)


@pytest.mark.parametrize(("query_camera", "gallery_camera"), [(-1, -1), (-1, 0), (0, -1)])
def test_unknown_camera_removes_nothing(query_camera, gallery_camera):
    got = rank_one([0.9, 0.8], [5, 3], [gallery_camera, 1], query_camera=query_camera)
    assert got.query_first_rank.tolist() == [1]


def test_junk_takes_no_rank_and_a_distractor_does():
    assert rank_one([0.9, 0.8], [-1, 5]).query_first_rank.tolist() == [1]
    assert rank_one([0.9, 0.8], [0, 5]).query_first_rank.tolist() == [2]


@pytest.mark.parametrize("query_id", [-1, 0, 8])
def test_query_without_a_match_is_skipped_and_counted(query_id):
    got = rank_one([0.9, 0.8, 0.7], [-1, 0, 5], query_id=query_id)
    assert (got.num_queries, got.num_skipped) == (0, 1)
    assert math.isnan(got.mean_ap)
    assert math.isnan(got.mean_inp)
    assert np.isnan(got.cmc).all()
    assert got.summary()["mean_ap"] is None


def test_only_match_by_the_same_camera_is_no_match():
    got = rank_one([0.9, 0.8], [5, 3], [0, 1])
    assert (got.num_queries, got.num_skipped) == (0, 1)


def test_ties_rank_in_gallery_row_order():
    assert rank_one([0.5, 0.5, 0.5], [3, 5, 4]).query_first_rank.tolist() == [2]
    assert rank_one([0.5, 0.5, 0.5], [5, 3, 4]).query_first_rank.tolist() == [1]


def test_one_image_repeated_ties_wherever_it_stands():
    """A float32 product gives equal rows unequal sums, by where they fall in the BLAS's blocks."""
    rng = np.random.default_rng(0)
    gallery = np.repeat(rng.standard_normal((1, 193)).astype(np.float32), 301, axis=0)
    ids = np.full(301, 3)
    ids[150] = 5
    query = rng.standard_normal((40, 193)).astype(np.float32)
    for block in (1, 7, 40):
        got = rank(query, gallery, [5] * 40, ids, [0] * 40, [1] * 301, block=block)
        assert (got.query_first_rank == 151).all()


def test_length_of_a_row_is_not_seen():
    query, gallery, *rest = make_case(9)
    scale = 2.0 ** np.random.default_rng(2).integers(-4, 5, (len(gallery), 1))
    straight = rank(query, gallery, *rest)
    scaled = rank(3 * query, gallery * scale, *rest)
    np.testing.assert_array_equal(straight.query_ap, scaled.query_ap)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_types(dtype):
    query, gallery, *rest = make_case(11, coarse=True)
    want = rank(query, gallery, *rest).mean_ap
    assert rank(query.astype(dtype), gallery.astype(dtype), *rest).mean_ap == want


def test_torch_tensors():
    case = make_case(12)
    tensors = [torch.from_numpy(part) for part in case]
    tensors[0].requires_grad_()
    assert rank(*tensors).mean_ap == rank(*case).mean_ap


def test_summary_is_plain_and_within_max_rank():
    case = make_case(1)
    summary = rank(*case, max_rank=5).summary()
    assert list(summary) == [
        *("rank_1", "rank_5", "mean_ap", "mean_inp", "fnmr_at_fmr_0.01", "fnmr_at_fmr_0.001"),
        *("open_set_auc", "new_person_threshold", "new_person_error"),
        *("num_queries", "num_skipped"),
    ]
    assert all(type(value) in (int, float) for value in summary.values())


def test_memory_stays_at_a_block():
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((1200, 8)), rng.standard_normal((5000, 8))
    q_ids, g_ids = rng.integers(1, 300, 1200), rng.integers(1, 300, 5000)
    tracemalloc.start()
    rank(query, gallery, q_ids, g_ids, np.zeros(1200, int), np.ones(5000, int), block=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1200 * 5000 * 4 / 4  # a quarter of even one float32 query x gallery matrix


def test_bad_features():
    query, gallery, *rest = make_case(0)
    for bad in (np.nan, np.inf):
        broken = gallery.copy()
        broken[4, 2] = bad
        with pytest.raises(FeatureError, match=r"1 of 61 gallery features .* row 4"):
            rank(query, broken, *rest)
    with pytest.raises(FeatureError, match="23 of 23 query features"):
        rank(np.zeros_like(query), gallery, *rest)
    with pytest.raises(FeatureError, match="6 dimensions and gallery features 5"):
        rank(query, gallery[:, :5], *rest)
    with pytest.raises(FeatureError, match=r"expected float \[images, D\]"):
        rank(query[0], gallery, *rest)
    with pytest.raises(FeatureError, match="cannot be read"):
        rank(torch.zeros(23, 6, dtype=torch.bfloat16), gallery, *rest)


def test_bad_ids_and_options():
    case = list(make_case(0))
    for place, what in enumerate(("query ids", "gallery ids", "query cameras", "gallery cameras")):
        broken = list(case)
        broken[place + 2] = case[place + 2][:-1]
        with pytest.raises(CorpusError, match=f"{what} have shape"):
            rank(*broken)
        broken[place + 2] = case[place + 2].astype(float)
        with pytest.raises(CorpusError, match=f"{what} are float64"):
            rank(*broken)
        broken[place + 2] = case[place + 2] - 1
        with pytest.raises(CorpusError, match=f"{what} go down to -2"):
            rank(*broken)
    with pytest.raises(CorpusError, match="no clothes ids were given"):
        rank(*case, rules=Rules(same_clothes=True), query_clothes=case[2])
    with pytest.raises(CorpusError, match=r"gallery clothes have shape \[23\]"):
        rank(*case, query_clothes=case[2], gallery_clothes=case[2])
    with pytest.raises(ValueError, match="at least 1"):
        rank(*case, block=0)
    with pytest.raises(ValueError, match="at least 1"):
        rank(*case, max_rank=0)
