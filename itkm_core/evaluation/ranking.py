"""Retrieval scores: CMC, mAP and mINP, exact, without ever sorting the query x gallery matrix.

Shapes: Q queries, G gallery images, D feature dimension, P matches of one query (P << G).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import CorpusError, FeatureError
from itkm_core.evaluation.arrays import FloatArray, IntArray, as_features, as_integers, norms
from itkm_core.evaluation.rules import SAME_CAMERA, Rules

JUNK = -1  # a gallery image to leave out; as a query's identity, unknown
DISTRACTOR = 0  # a gallery image of nobody who is queried, so always a wrong answer
UNKNOWN = -1  # a camera, or clothes, that equal no other

_SIMILARITY_BYTES = 256 * 2**20  # what one block of float32 similarities may take by default
_MAX_BLOCK = 512  # more queries do not make the matrix product faster
_GALLERY_TILE = 4096  # gallery rows in float64 at a time


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of one query set against one gallery. Every score is a fraction in [0, 1].

    `cmc[r - 1]` is the share of counted queries with a match among the first r answers; it has
    `max_rank` entries even if the gallery is smaller. `num_queries` counts the queries in the
    means, `num_skipped` those left out for having no valid match; together they are all queries
    given. With no counted query every mean is NaN.

    The `query_*` arrays have one entry per query given, in the given order: average precision and
    inverse negative penalty (NaN where skipped), and the 1-based rank of the first match (0 where
    skipped).
    """

    cmc: FloatArray
    mean_ap: float
    mean_inp: float
    num_queries: int
    num_skipped: int
    query_ap: FloatArray
    query_inp: FloatArray
    query_first_rank: IntArray

    def summary(self, ranks: tuple[int, ...] = (1, 5, 10, 20)) -> dict[str, float | int | None]:
        """Scores by name, ready for JSON: NaN becomes None, ranks beyond `max_rank` are absent."""
        scores = {f"rank_{r}": float(self.cmc[r - 1]) for r in ranks if r <= len(self.cmc)}
        scores |= {"mean_ap": self.mean_ap, "mean_inp": self.mean_inp}
        row: dict[str, float | int | None] = {
            name: None if math.isnan(value) else value for name, value in scores.items()
        }
        return row | {"num_queries": self.num_queries, "num_skipped": self.num_skipped}


def rank(
    query_features: npt.ArrayLike,
    gallery_features: npt.ArrayLike,
    query_ids: npt.ArrayLike,
    gallery_ids: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
    *,
    rules: Rules = SAME_CAMERA,
    query_clothes: npt.ArrayLike | None = None,
    gallery_clothes: npt.ArrayLike | None = None,
    block: int | None = None,
    max_rank: int = 20,
) -> Ranking:
    """Rank the gallery for every query by cosine similarity and score the order.

    Features are [Q, D] and [G, D] of any real type and any non-zero length (they are normalised
    here); ids, cameras and clothes are integers [Q] and [G]. NumPy arrays, torch tensors and lists are accepted.

    What is left out of a query's gallery: what `rules` say, by default images of the same person by the same
    camera, and images of id -1 (junk). Camera -1 and clothes -1 are unknown and equal no other. Images of id 0
    (distractors) stay, and match nobody. A query with no match left, hence also one of id 0 or -1, is skipped and
    counted (Zheng et al., Scalable Person Re-identification, ICCV 2015, and its official code).

    Average precision is the non-interpolated one: the mean over a query's P matches of k / r_k,
    r_k the rank of the k-th match. Market-1501's original MATLAB code averages each precision with
    the one before it (trapezoid) and comes out slightly different; the numbers the unsupervised
    literature compares are of the form used here. Inverse negative penalty is P / r_P, the last
    match's rank (Ye et al., Deep Learning for Person Re-identification, TPAMI 2021, mINP).

    Ties [ours]: similarities are summed in float64 and rounded to float32, and equal ones rank in
    gallery row order, so equal gallery images tie whatever the block and the BLAS.

    Memory beside the inputs: 4 * block * G bytes of similarities, and one sorted row. `block` is a
    number of queries; by default what fits 256 MiB, 512 at most. It changes no score.

    Raises FeatureError for features that are not finite, of zero length or of different D;
    CorpusError for ids, cameras and clothes that do not fit them, and for rules about clothes without any;
    ValueError for block or max_rank < 1.
    """
    query, gallery = as_features(query_features, "query"), as_features(gallery_features, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(
            f"query features have {query.shape[1]} dimensions and gallery features "
            f"{gallery.shape[1]}: extract both with one model"
        )
    num_query, num_gallery = len(query), len(gallery)
    q_ids = as_integers(query_ids, "query ids", CorpusError, num_query)
    g_ids = as_integers(gallery_ids, "gallery ids", CorpusError, num_gallery)
    q_cameras = as_integers(query_cameras, "query cameras", CorpusError, num_query)
    g_cameras = as_integers(gallery_cameras, "gallery cameras", CorpusError, num_gallery)
    if rules.same_clothes and (query_clothes is None or gallery_clothes is None):
        raise CorpusError(
            "the rules leave out images in the query's clothes, and no clothes ids were given: "
            "ingest the corpus from a source that has them"
        )
    q_clothes, g_clothes = (
        np.full(num, UNKNOWN) if clothes is None else as_integers(clothes, what, CorpusError, num)
        for clothes, what, num in (
            (query_clothes, "query clothes", num_query),
            (gallery_clothes, "gallery clothes", num_gallery),
        )
    )
    if max_rank < 1 or (block is not None and block < 1):
        raise ValueError(f"block and max_rank must be at least 1, got {block} and {max_rank}")
    if block is None:
        block = max(1, min(_MAX_BLOCK, _SIMILARITY_BYTES // (4 * max(num_gallery, 1))))

    query_scale, gallery_scale = 1 / norms(query, "query"), 1 / norms(gallery, "gallery")
    by_id = np.argsort(g_ids, kind="stable")
    start = np.searchsorted(g_ids, q_ids, "left", sorter=by_id)
    stop = np.searchsorted(g_ids, q_ids, "right", sorter=by_id)
    junk = np.flatnonzero(g_ids == JUNK)

    ap = np.full(num_query, np.nan)
    inp = np.full(num_query, np.nan)
    first = np.zeros(num_query, np.int64)
    candidates = np.flatnonzero((q_ids > DISTRACTOR) & (stop > start))
    for begin in range(0, len(candidates), block):
        rows = candidates[begin : begin + block]
        similarity = _similarity(query[rows], query_scale[rows], gallery, gallery_scale)
        similarity[:, junk] = -np.inf
        for row, i in zip(similarity, rows.tolist(), strict=True):
            for query_camera, gallery_camera in rules.blind:
                if query_camera == q_cameras[i]:
                    row[g_cameras == gallery_camera] = -np.inf
            same_person = by_id[start[i] : stop[i]]
            if rules.same_camera and q_cameras[i] != UNKNOWN:
                row[same_person[g_cameras[same_person] == q_cameras[i]]] = -np.inf
            if rules.same_clothes and q_clothes[i] != UNKNOWN:
                row[same_person[g_clothes[same_person] == q_clothes[i]]] = -np.inf
            matches = same_person[np.isfinite(row[same_person])]
            if len(matches):
                ranks = _match_ranks(row, matches)
                ap[i] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
                inp[i] = len(ranks) / ranks[-1]
                first[i] = _person_rank(row, matches, g_ids) if rules.persons_once else ranks[0]

    counted = np.flatnonzero(first)
    hits = np.bincount(first[counted], minlength=max_rank + 1)[1 : max_rank + 1]
    none = not len(counted)
    return Ranking(
        cmc=np.full(max_rank, np.nan) if none else np.cumsum(hits) / len(counted),
        mean_ap=math.nan if none else float(ap[counted].mean()),
        mean_inp=math.nan if none else float(inp[counted].mean()),
        num_queries=len(counted),
        num_skipped=num_query - len(counted),
        query_ap=ap,
        query_inp=inp,
        query_first_rank=first,
    )


def _match_ranks(row: npt.NDArray[np.float32], matches: IntArray) -> IntArray:
    """1-based ranks of the gallery rows `matches`, ascending; left-out entries are -inf in `row`.

    Sorting one row of values and looking the few matches up in it is an order of magnitude cheaper
    than an argsort, and does not grow with the number of matches as counting would.
    """
    ascending = np.sort(row)
    values = row[matches]
    not_above = np.searchsorted(ascending, values, "right")
    ranks = len(row) - not_above + 1
    tied = np.flatnonzero(not_above - np.searchsorted(ascending, values, "left") > 1)
    for value in np.unique(values[tied]):
        these = tied[values[tied] == value]
        ranks[these] += np.searchsorted(np.flatnonzero(row == value), matches[these])
    ranks.sort()
    return ranks


def _person_rank(row: npt.NDArray[np.float32], matches: IntArray, persons: IntArray) -> int:
    """1-based rank of the first match where a person's images after its first take no rank."""
    best = row[matches].max()
    ahead = np.flatnonzero(row > best)
    tied = np.flatnonzero(row == best)
    ahead = np.append(ahead, tied[tied < matches[row[matches] == best].min()])
    return (
        1
        + len(np.unique(persons[ahead][persons[ahead] > DISTRACTOR]))
        + int((persons[ahead] == DISTRACTOR).sum())
    )


def _similarity(
    query: npt.NDArray[Any], query_scale: FloatArray, gallery: npt.NDArray[Any], scale: FloatArray
) -> npt.NDArray[np.float32]:
    """Cosine similarities [b, G], by tiles of the gallery: no float64 copy of all of it."""
    unit_query = query * query_scale[:, None]
    similarity = np.empty((len(query), len(gallery)), np.float32)
    for begin in range(0, len(gallery), _GALLERY_TILE):
        tile = slice(begin, begin + _GALLERY_TILE)
        similarity[:, tile] = unit_query @ (gallery[tile] * scale[tile, None]).T
    return similarity
