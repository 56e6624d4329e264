"""What a check of a corpus finds: the kinds of it, and the table that it is written to. [ours]"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

KINDS = {
    "leak": "test pictures that are training pictures, byte for byte",
    "near_leak": "test pictures that are nearly training pictures: cropped, brightened or encoded again",
    "person_in_both_splits": "people with training and test pictures",
    "duplicate": "further copies of a picture in its own split, byte for byte",
    "near_duplicate": "pictures of which nearly the same is in their own split",
    "lone_camera": "cameras with a single picture",
    "constant": "pictures of one colour, or nearly",
    "dark": "pictures that are almost black",
    "blurred": "pictures far less sharp than the others of their scenario and group",
    "tiny": "pictures too small to show a person, or far smaller than the others of their scenario and group",
    "odd_aspect": "pictures that are wide, or too narrow for a person",
}
"""In the order in which they matter. Test is query and gallery together."""

ISSUES_SCHEMA = pa.schema(
    [
        ("sample_id", pa.int64()),
        ("kind", pa.string()),
        ("value", pa.float64()),
        ("other", pa.int64()),
        ("detail", pa.string()),
    ]
)
"""Sorted by kind, in the order of KINDS, and sample_id.

value: what was measured; of copies the likeness (1 byte for byte), of people and cameras their number. other: the
sample_id of the picture it was compared with, or -1. detail: what was found, in words."""


def issues(
    kind: str,
    sample_id: ArrayLike,
    value: ArrayLike,
    other: ArrayLike = -1,
    detail: Iterable[str] = (),
) -> pa.Table:
    """Rows of ISSUES_SCHEMA of one kind; a single `value` or `other` is that of all."""
    ids = np.asarray(sample_id, np.int64)
    words = list(detail)
    order = np.argsort(ids, kind="stable")
    columns = {
        "sample_id": ids[order],
        "kind": [kind] * len(ids),
        "value": np.broadcast_to(np.asarray(value, np.float64), ids.shape)[order],
        "other": np.broadcast_to(np.asarray(other, np.int64), ids.shape)[order],
        "detail": [words[row] for row in order.tolist()],
    }
    return pa.table(columns, schema=ISSUES_SCHEMA)
