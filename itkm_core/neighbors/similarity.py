"""The one cosine every step agrees on, and the kernels that need it. [ours]

cos(i, j) is the float64 dot product of two float32 rows, added in one fixed order. The products are exact in
float64, so the value depends neither on the machine nor on which search proposed the pair, equal rows give equal
values, and cos(i, j) == cos(j, i) to the last bit.
"""

from __future__ import annotations

import numpy as np

from itkm_core.neighbors.kernels import Array, kernel
from itkm_core.neighbors.unit_rows import UNIT_TOLERANCE


def float32_error(dimension: int) -> float:
    """Most a float32 dot product of two rows can be off, whatever the order of its sum (gamma_D |x| |y|)."""
    unit = dimension * 2.0**-24
    return (1 + UNIT_TOLERANCE) ** 2 * unit / (1 - unit)


def float64_error(dimension: int) -> float:
    """Most two float64 dot products of the same rows can differ, whatever the orders of their sums."""
    return 4 * dimension * 2.0**-53


@kernel
def dot(a: Array, b: Array) -> float:
    """Float64 dot product of two float32 rows: eight running sums (one vector register), then their tree."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = a.size - a.size % 8
    for c in range(0, whole, 8):
        s0 += np.float64(a[c]) * np.float64(b[c])
        s1 += np.float64(a[c + 1]) * np.float64(b[c + 1])
        s2 += np.float64(a[c + 2]) * np.float64(b[c + 2])
        s3 += np.float64(a[c + 3]) * np.float64(b[c + 3])
        s4 += np.float64(a[c + 4]) * np.float64(b[c + 4])
        s5 += np.float64(a[c + 5]) * np.float64(b[c + 5])
        s6 += np.float64(a[c + 6]) * np.float64(b[c + 6])
        s7 += np.float64(a[c + 7]) * np.float64(b[c + 7])
    rest = 0.0
    for c in range(whole, a.size):
        rest += np.float64(a[c]) * np.float64(b[c])
    return ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + rest


@kernel
def own_cosines(rows: Array) -> Array:
    """cos(i, i) of every row, float64 [N]: 1 but for rounding."""
    cosines = np.empty(rows.shape[0])
    for row in range(rows.shape[0]):
        cosines[row] = dot(rows[row], rows[row])
    return cosines


@kernel
def rerank(
    queries: Array,
    rows: Array,
    candidates: Array,
    scores: Array,
    start: int,
    k: int,
    indices: Array,
    exact: Array,
) -> Array:
    """Exact order of the candidates of queries start, start+1, ...; fills the k best into `indices`, `exact`.

    `candidates`, `scores` [B, W] (a float32 search's rows and values, best first), `indices` int32 [B, k] and
    `exact` float64 [B, k], sorted by (cosine down, row up). Returns float64 [B, 2]: by how much the k-th cosine
    beats the worst candidate's score, and the largest difference of cosine and score.
    """
    width = candidates.shape[1]
    verdict = np.empty((candidates.shape[0], 2))
    order = np.empty(width, np.int64)
    cosines = np.empty(width)
    for at in range(candidates.shape[0]):
        off = 0.0
        for w in range(width):
            row = np.int64(candidates[at, w])
            cosine = dot(queries[start + at], rows[row])
            off = max(off, abs(cosine - scores[at, w]))
            # Insertion: the candidates come all but sorted.
            place = w
            while place > 0 and (
                cosines[place - 1] < cosine
                or (cosines[place - 1] == cosine and order[place - 1] > row)
            ):
                cosines[place] = cosines[place - 1]
                order[place] = order[place - 1]
                place -= 1
            cosines[place] = cosine
            order[place] = row
        for w in range(k):
            indices[at, w] = order[w]
            exact[at, w] = cosines[w]
        verdict[at, 0] = cosines[k - 1] - scores[at, width - 1]
        verdict[at, 1] = off
    return verdict


@kernel
def cosines_to(query: Array, rows: Array, others: Array) -> Array:
    """Cosines of one vector [D] and the rows numbered `others` int64 [C], float64 [C]."""
    cosines = np.empty(others.size)
    for c in range(others.size):
        cosines[c] = dot(query, rows[others[c]])
    return cosines


@kernel
def listed_cosines(queries: Array, rows: Array, listed: Array, start: int, stop: int) -> Array:
    """Cosines of queries start..stop and the rows of their lists `listed` int [Q, k], float64 [B, k]."""
    cosines = np.empty((stop - start, listed.shape[1]))
    for query in range(start, stop):
        for at in range(listed.shape[1]):
            cosines[query - start, at] = dot(queries[query], rows[listed[query, at]])
    return cosines


@kernel
def softmax_rows(
    rows: Array,
    reach: Array,
    order: Array,
    row_start: Array,
    columns: Array,
    start: int,
    stop: int,
) -> Array:
    """Softmax over each row's columns of -(2 - 2 cos) / reach, for CSR rows start..stop; float64, as `columns` lie.

    CSR row and column i are those of rows[order[i]], and so is its reach.
    """
    base = row_start[start]
    values = np.empty(row_start[stop] - base)
    for row in range(start, stop):
        total = 0.0
        for at in range(row_start[row], row_start[row + 1]):
            cosine = dot(rows[order[row]], rows[order[columns[at]]])
            value = np.exp((2.0 * cosine - 2.0) / reach[order[row]])
            values[at - base] = value
            total += value
        for at in range(row_start[row], row_start[row + 1]):
            values[at - base] /= total
    return values
