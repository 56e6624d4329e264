"""Instance-level heterogeneous matching (IHM): the images of the opposite group that both spaces call near.

docs/definition.md, "IHM". P_i = (top-k of i in image space) and (top-k of i in text space), over the opposite
group's N images. Suffixes: N images of a side, k neighbours, G distinct texts, B images in a block.

There are few texts: all images of a Stage I cluster start with one vector, so whole clusters tie, and the k-th entry is
mostly in the middle of a tie. Order within a tie [ours]: by image cosine, then by row. So the nearest text's cluster is
cut where its images become unlike i, not by their sample ids. Texts tie when their cosines round to the same
multiple of TEXT_STEP [ours], which rarely separates vectors that differ only by the rounding of a mean or a norm.

That rule also makes P_i cheap. An image j of i's image list has, before it in the text order, (1) every image of
a nearer text: counted from the k nearest *distinct* texts of i's text; (2) the images of equal text that are
before j in image order: all of them are before j in i's image list. So P_i needs the image list, a search
among distinct texts and k cosines: exact, O(N k + G k) memory, no N x N, no list in text space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from itkm_core.errors import ConfigError
from itkm_core.matching.clusters import check_columns, texts_of
from itkm_core.neighbors.csr import Csr, csr_of_mask, empty_csr, mutual_entries
from itkm_core.neighbors.equal_rows import group_equal_rows
from itkm_core.neighbors.kernels import Array, kernel, map_blocks, thread_count
from itkm_core.neighbors.nearest import nearest_across
from itkm_core.neighbors.similarity import listed_cosines
from itkm_core.neighbors.unit_rows import unit_rows

TEXT_STEP = 1e-5
"""Text cosines are compared in whole multiples of this. [ours]"""

BLOCK_ROWS = 1024

Rows = npt.NDArray[np.float32]
Lists = npt.NDArray[np.int32]


@dataclass(frozen=True)
class InstanceMatches:
    """Positive sets between the two groups of a scenario; N_0 and N_1 images, rows as the features came.

    `positives_g`: for each image of group g its rows of the opposite group, nearest in image space first;
    indices int32, indptr int64 [N_g + 1].
    `hard_g` int32 [N_g, H]: the opposite rows nearest in image space, nearest first, positives among them;
    H = min(num_hard, N of the opposite group). None where none were asked for.
    """

    positives_0: Csr
    positives_1: Csr
    hard_0: Lists | None
    hard_1: Lists | None

    def positives(self, side: int) -> Csr:
        """`positives_0` or `positives_1`."""
        return self.positives_1 if side else self.positives_0

    def hard(self, side: int) -> Lists | None:
        """`hard_0` or `hard_1`."""
        return self.hard_1 if side else self.hard_0


def match_instances(
    features_0: Any,
    features_1: Any,
    text_0: Any = None,
    text_1: Any = None,
    *,
    k: int = 20,
    mutual_only: bool = False,
    num_hard: int = 0,
    backend: str = "auto",
    num_threads: int | None = None,
) -> InstanceMatches:
    """The positive set of every image of both groups: among its k nearest opposite images in both spaces.

    `features_g` [N_g, D] (v of this round) and `text_g` [N_g, D'] (t of each image): unit rows; both texts or
    neither. Without text the image space decides alone: every image has k positives.
    `k`: at least 1 [ours: 20]; where the opposite group has fewer images, all of them are in the lists.
    `mutual_only`: j stays in P_i only where i is in P_j. [ours]
    `num_hard`: nearest opposite images to return for use as negatives; 0: none.
    `backend`, `num_threads`: as in `clustering.nearest`; the result depends on neither.

    Ties in image space are in order of rows; those in text space by image cosine, then row (see the module).
    A group without an image gives empty sets on both sides. Time is that of two exact searches, N_0 N_1 each.

    Source: docs/definition.md, "IHM".

    Raises FeatureError for rows that are unusable or do not fit each other, ConfigError for a parameter out of
    range or one text without the other.
    """
    for name, number, least in (("k", k, 1), ("num_hard", num_hard, 0)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise ConfigError(f"{name} is {number!r}; expected an integer of at least {least}")
    threads = thread_count(num_threads)
    features = unit_rows(features_0), unit_rows(features_1)
    check_columns(*features, "features")
    texts = texts_of(features, text_0, text_1, "features", "image")
    found = [_match_side(side, features, texts, k, num_hard, backend, threads) for side in (0, 1)]
    (positives_0, hard_0), (positives_1, hard_1) = found
    if mutual_only:
        positives_0, positives_1 = mutual_entries(positives_0, positives_1)
    return InstanceMatches(positives_0, positives_1, hard_0, hard_1)


def _match_side(
    side: int,
    features: tuple[Rows, Rows],
    texts: tuple[Rows, Rows] | None,
    k: int,
    num_hard: int,
    backend: str,
    threads: int,
) -> tuple[Csr, Lists | None]:
    """Positive sets and hard negatives of the images of one side."""
    own, other = features[side], features[1 - side]
    if not len(own) or not len(other):
        width = min(num_hard, len(other))
        return empty_csr(len(own), np.int32), np.zeros(
            (len(own), width), np.int32
        ) if num_hard else None
    width = min(max(k, num_hard), len(other))
    near = nearest_across(own, other, width, backend=backend, num_threads=threads).indices
    k = min(k, len(other))
    lists = near[:, :k]
    if texts is None:
        keep = np.ones(lists.shape, bool)
    else:
        keep = _near_in_text(lists, texts[side], texts[1 - side], k, backend, threads)
    hard = np.ascontiguousarray(near[:, :num_hard]) if num_hard else None
    return csr_of_mask(lists, keep), hard


def _near_in_text(
    lists: Lists, own: Rows, other: Rows, k: int, backend: str, threads: int
) -> npt.NDArray[np.bool_]:
    """Which entries of image lists [N, k] are among the k nearest in text space too, bool [N, k]."""
    asked, kinds = group_equal_rows(own), group_equal_rows(other)
    asking, distinct = own[asked.first], other[kinds.first]
    # k texts hold at least k images: no text beyond them can matter.
    num_near = min(k, len(distinct))
    near = nearest_across(asking, distinct, num_near, backend=backend, num_threads=threads).indices
    # The cosines again: the search hands them on rounded to float32, and ties are decided on them.
    steps = _in_steps(listed_cosines(asking, distinct, near, 0, len(near)))
    ahead = np.cumsum(kinds.members.sizes[near], axis=1)
    keep = np.empty(lists.shape, np.bool_)

    def block(start: int, stop: int) -> None:
        own_steps = _in_steps(listed_cosines(own, other, lists, start, stop))
        _within_k(own_steps, asked.group[start:stop], steps, ahead, k, keep[start:stop])

    map_blocks(block, len(lists), BLOCK_ROWS, threads)
    return keep


def _in_steps(cosines: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(cosines / TEXT_STEP).astype(np.int64)


@kernel
def _within_k(
    own_steps: Array, text: Array, steps: Array, ahead: Array, k: int, keep: Array
) -> None:
    """Fill `keep` bool [B, k]: fewer than k images are before the entry in text order.

    `own_steps` int64 [B, k] (text cosines of the image list), `text` [B] (the image's distinct text), `steps`
    int64 [G, L] (cosines of that text's nearest texts, falling), `ahead` [G, L] (images up to and with each).
    """
    for at in range(own_steps.shape[0]):
        row = text[at]
        for entry in range(own_steps.shape[1]):
            step = own_steps[at, entry]
            before = 0
            for near in range(steps.shape[1]):
                if steps[row, near] <= step:
                    break
                before = ahead[row, near]
            for earlier in range(entry):
                if own_steps[at, earlier] == step:
                    before += 1
            keep[at, entry] = before < k
