"""What a gallery answers to each query, and how good the answers are, made a block of queries at a time.

Shapes: Q queries, G gallery images, D feature dimension, n answers kept, P matches of one query (P << G).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from itkm_core.errors import CorpusError, FeatureError
from itkm_core.evaluation.arrays import FloatArray, IntArray
from itkm_core.evaluation.cosines import Cosines, Scores
from itkm_core.evaluation.images import DISTRACTOR, Images, as_images
from itkm_core.evaluation.left_out import LeftOut
from itkm_core.evaluation.mean_scores import Ranking, person_rank, ranking_of
from itkm_core.evaluation.open_set import OpenSet
from itkm_core.evaluation.reranking import rerank
from itkm_core.evaluation.row_kernels import best_answers, count_scores, match_ranks
from itkm_core.evaluation.rules import SAME_CAMERA, Rules
from itkm_core.evaluation.verification import NUM_BINS, STEPS, Verification
from itkm_core.neighbors.kernels import map_blocks, thread_count

_BLOCK_BYTES = 256 * 2**20  # what the float32 scores of all threads' blocks may take by default
_MIN_BLOCK = 64  # fewer queries take less time than a float64 copy of the gallery for them
_MAX_BLOCK = 512  # more queries do not make the matrix product faster


@dataclass(frozen=True, eq=False)
class Retrieval:
    """The first n answers of every query, without what the rules leave out, and how all answers score.

    `answers` int32 [Q, n]: rows of the gallery, best first, -1 where fewer are left; `scores` float32 [Q, n]: cosines,
    or after `rerank` one minus its distance, NaN where fewer are left; `matched` bool [Q, n]: shows the query's person.
    """

    query: Images
    gallery: Images
    rules: Rules
    answers: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    matched: npt.NDArray[np.bool_]
    ranking: Ranking

    def named(self, gallery_ids: IntArray) -> IntArray:
        """The answers by the sample ids [G] of the gallery, int64 [Q, n], -1 where fewer are left."""
        return np.append(gallery_ids, -1)[self.answers]

    def rerank(self, k1: int = 20, k2: int = 6, kept: float = 0.3) -> Retrieval:
        """The same queries after k-reciprocal re-ranking (Zhong et al., CVPR 2017), by the same rules.

        `k1`: neighbours; `k2`: of query expansion, 1 being none; `kept`: lambda, the share of the original distance in
        the final one. The defaults are the paper's for Market-1501. Takes two searches of all images by all images,
        and in memory three copies of their features and some 2.5 KB an image.

        Raises ValueError for k1 or k2 < 1, or `kept` outside [0, 1].
        """
        if min(k1, k2) < 1 or not 0 <= kept <= 1:
            raise ValueError(
                f"k1 and k2 must be at least 1 and kept in [0, 1], got {k1}, {k2} and {kept}"
            )
        if not len(self.query):
            return self
        scores = rerank(self.query, self.gallery, k1, k2, kept)
        num_answers, max_rank = self.answers.shape[1], len(self.ranking.cmc)
        return collect(self.query, self.gallery, scores, self.rules, num_answers, None, max_rank)


def retrieve(
    query_features: npt.ArrayLike,
    gallery_features: npt.ArrayLike,
    query_ids: npt.ArrayLike | None = None,
    gallery_ids: npt.ArrayLike | None = None,
    query_cameras: npt.ArrayLike | None = None,
    gallery_cameras: npt.ArrayLike | None = None,
    *,
    rules: Rules = SAME_CAMERA,
    query_clothes: npt.ArrayLike | None = None,
    gallery_clothes: npt.ArrayLike | None = None,
    num_answers: int = 20,
    block: int | None = None,
    max_rank: int = 20,
) -> Retrieval:
    """Rank the gallery for every query by cosine similarity, and score the order.

    Features are [Q, D] and [G, D] of any real type and any non-zero length (they are normalised
    here); ids, cameras and clothes are integers [Q] and [G]. NumPy arrays, torch tensors and lists are accepted.
    Without ids nobody is known, so nothing is left out and every mean is NaN: a search.

    What is left out of a query's gallery: what `rules` say, by default images of the same person by the same
    camera, and images of id -1 (junk). Camera -1 and clothes -1 are unknown and equal no other. Images of id 0
    (distractors) stay, and match nobody. A query with no match left, hence also one of id 0 or -1, is skipped and
    counted (Zheng et al., Scalable Person Re-identification, ICCV 2015, and its official code).

    Average precision is the non-interpolated one: the mean over a query's P matches of k / r_k,
    r_k the rank of the k-th match. Market-1501's original MATLAB code averages each precision with
    the one before it (trapezoid) and comes out slightly different; the numbers the unsupervised
    literature compares are of the form used here. Inverse negative penalty is P / r_P, the last
    match's rank (Ye et al., Deep Learning for Person Re-identification, TPAMI 2021, mINP).

    Equal scores rank in gallery row order [ours]; `Cosines` says which are equal.

    Memory beside the inputs: 4 * block * G bytes of scores a thread, and 9 bytes an answer kept. `block` is a
    number of queries; by default what fits 256 MiB in all, but 64 to 512. It changes no score, and neither do the
    threads, which are those of `thread_count`.

    Raises FeatureError for features that are not finite, of zero length or of different D; CorpusError for ids,
    cameras and clothes that do not fit them, and for rules about clothes without any; ValueError for block, max_rank
    or num_answers < 1.
    """
    if rules.same_clothes and (query_clothes is None or gallery_clothes is None):
        raise CorpusError(
            "the rules leave out images in the query's clothes, and no clothes ids were given: "
            "ingest the corpus from a source that has them"
        )
    query = as_images("query", query_features, query_ids, query_cameras, query_clothes)
    gallery = as_images("gallery", gallery_features, gallery_ids, gallery_cameras, gallery_clothes)
    if query.features.shape[1] != gallery.features.shape[1]:
        raise FeatureError(
            f"query features have {query.features.shape[1]} dimensions and gallery features "
            f"{gallery.features.shape[1]}: extract both with one model"
        )
    if min(max_rank, num_answers) < 1 or (block is not None and block < 1):
        raise ValueError(
            f"block, max_rank and num_answers must be at least 1, got {block}, {max_rank} and "
            f"{num_answers}"
        )
    cosines = Cosines(query.features, query.scale, gallery.features, gallery.scale)
    return collect(query, gallery, cosines, rules, num_answers, block, max_rank)


def collect(
    query: Images,
    gallery: Images,
    scores: Scores,
    rules: Rules,
    num_answers: int,
    block: int | None,
    max_rank: int,
) -> Retrieval:
    """`retrieve` by any scores."""
    threads = thread_count()
    if block is None:
        fitting = _BLOCK_BYTES // (4 * max(len(gallery), 1) * threads)
        fair = max(1, -(-len(query) // threads))
        block = min(max(fitting, _MIN_BLOCK), _MAX_BLOCK, fair)
    reader = _Reader(query, gallery, rules, min(num_answers, len(gallery)))

    def read(start: int, stop: int) -> None:
        reader.read(scores.block(start, stop), start)

    # A product on several threads waits for the slowest at every tile, and on shared cores that is most of its time.
    with threadpool_limits(1, "blas"):
        map_blocks(read, len(query), block, threads)
    return reader.result(max_rank)


class _Reader:
    """Reads blocks of scores into the arrays of a `Retrieval`."""

    def __init__(self, query: Images, gallery: Images, rules: Rules, num_answers: int) -> None:
        self.query, self.gallery, self.rules = query, gallery, rules
        self._adding = Lock()
        self.left_out = LeftOut(query, gallery, rules)
        self.answers = np.full((len(query), num_answers), -1, np.int32)
        self.scores = np.full((len(query), num_answers), np.nan, np.float32)
        self.ap, self.inp = np.full(len(query), np.nan), np.full(len(query), np.nan)
        self.first = np.zeros(len(query), np.int64)
        self.best, self.best_wrong = np.full(len(query), np.nan), np.full(len(query), np.nan)
        self.every, self.genuine = np.zeros(NUM_BINS, np.int64), np.zeros(NUM_BINS, np.int64)

    def read(self, rows: npt.NDArray[np.float32], start: int) -> None:
        """Scores [B, G] of the queries start, start + 1, ..., which this changes. Threads may read at the same time."""
        every, genuine = np.zeros(NUM_BINS, np.int64), np.zeros(NUM_BINS, np.int64)
        for number, row in enumerate(rows, start):
            matches = self.left_out.apply(row, number)
            if row.size:
                best_answers(row, self.answers[number], self.scores[number])
            if len(matches):
                self._score(number, row, matches)
            if self.query.persons[number] > DISTRACTOR:
                count_scores(row, STEPS, every)
                count_scores(row[matches], STEPS, genuine)
                row[matches] = -np.inf
                self.best_wrong[number] = row.max(initial=-np.inf)
        with self._adding:
            self.every += every
            self.genuine += genuine

    def _score(self, number: int, row: npt.NDArray[np.float32], matches: IntArray) -> None:
        ranks = match_ranks(row, matches)
        self.ap[number] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
        self.inp[number] = len(ranks) / ranks[-1]
        self.first[number] = ranks[0]
        if self.rules.persons_once:
            self.first[number] = person_rank(row, matches, self.gallery.persons)
        self.best[number] = self.scores[number, 0]

    def result(self, max_rank: int) -> Retrieval:
        verification = Verification(self.genuine, self.every - self.genuine)
        open_set = OpenSet(_trials(self.best), _trials(self.best_wrong))
        shown = np.append(self.gallery.persons, DISTRACTOR)[self.answers]
        known = (self.query.persons > DISTRACTOR)[:, None]
        return Retrieval(
            self.query,
            self.gallery,
            self.rules,
            self.answers,
            self.scores,
            known & (shown == self.query.persons[:, None]),
            ranking_of(self.ap, self.inp, self.first, verification, open_set, max_rank),
        )


def _trials(best: FloatArray) -> FloatArray:
    return np.sort(best[np.isfinite(best)])
