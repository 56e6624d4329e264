"""What the split and the cameras of a corpus should not have: copies, people in both splits, cameras with one picture.

[ours]
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itkm_core.corpus.checks.issues import issues
from itkm_core.corpus.schema import DISTRACTOR, UNKNOWN


def copies(
    sample_id: np.ndarray, split: pa.ChunkedArray, digest: pa.ChunkedArray
) -> list[pa.Table]:
    """ISSUES_SCHEMA tables of pictures with the bytes of another, by `digest`: leaks, and further copies in a split.

    Args:
        sample_id: int64 [N], ascending. split, digest: as long.
    """
    code = digest.combine_chunks().dictionary_encode().indices.to_numpy()
    in_train = pc.equal(split, "train").to_numpy(zero_copy_only=False)
    first = [_first(code, part) for part in (in_train, ~in_train)]  # of each digest, in each split
    own = np.where(in_train, first[0][code], first[1][code])
    leaked = ~in_train & (first[0][code] >= 0)
    again = own < np.arange(len(code))
    return [
        _copies("leak", sample_id, leaked, first[0][code]),
        _copies("duplicate", sample_id, again, own),
    ]


def people_in_both_splits(identities: pa.Table, index: pa.Table) -> pa.Table:
    """ISSUES_SCHEMA rows, one for each person with training and test pictures in a scenario.

    Args:
        identities: sample_id and person, IDENTITY_SCHEMA; distractors and unknown people do not count.
        index: sample_id, scenario and split of the same pictures, in the same order.
    """
    test = pc.if_else(pc.equal(index["split"], "train"), "train", "test")
    known = pa.table(
        {
            "scenario": index["scenario"],
            "person": identities["person"],
            "split": test,
            "sample_id": index["sample_id"],
        }
    ).filter(pc.field("person") > DISTRACTOR)
    people = known.group_by(["scenario", "person", "split"]).aggregate(
        [("sample_id", "min"), ("sample_id", "count")]
    )
    train, asked = (people.filter(pc.field("split") == name) for name in ("train", "test"))
    both = train.join(asked, ["scenario", "person"], join_type="inner", right_suffix="_test")
    both = both.sort_by([("scenario", "ascending"), ("person", "ascending")])
    words = [
        f"person {row['person']} of {row['scenario']}: {row['sample_id_count']:,} pictures in train, "
        f"{row['sample_id_count_test']:,} in test"
        for row in both.to_pylist()
    ]
    return issues(
        "person_in_both_splits",
        both["sample_id_min_test"],
        both["person"],
        both["sample_id_min"],
        words,
    )


def lone_cameras(index: pa.Table) -> pa.Table:
    """ISSUES_SCHEMA rows, one for each camera with one picture; index: sample_id, scenario, group and camera."""
    keys = ["scenario", "group", "camera"]
    known = index.filter(pc.field("camera") != UNKNOWN)
    cameras = known.group_by(keys).aggregate([("sample_id", "min"), ("sample_id", "count")])
    lone = cameras.filter(pc.field("sample_id_count") == 1)
    words = [
        f"camera {row['camera']} of {row['scenario']}/{row['group']}" for row in lone.to_pylist()
    ]
    return issues("lone_camera", lone["sample_id_min"], lone["camera"], detail=words)


def _first(code: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Of each code the first row of `part` that has it, or -1."""
    found = np.full(code.max(initial=-1) + 1, -1, np.int64)
    rows = np.flatnonzero(part)[::-1]
    found[code[rows]] = rows
    return found


def _copies(kind: str, sample_id: np.ndarray, which: np.ndarray, of: np.ndarray) -> pa.Table:
    others = sample_id[of[which]]
    words = ["the same bytes"] * len(others)
    return issues(kind, sample_id[which], 1, others, words)
