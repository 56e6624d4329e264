"""A corpus on disk, with tracklets if they are given, without Ray. Not a test itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA, Corpus
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, finish_corpus, write_shard

UNKNOWN = {"tracklet": -1, "frame": -1, "person": -1, "clothes": -1}
DEFAULTS = {"scenario": "uvi", "group": 0, "camera": 0, "split": "train", "height": 1, "width": 1}


def write_corpus(
    root: Path,
    published: Mapping[str, Any] | None = None,
    images: Sequence[bytes] | None = None,
    **columns: Sequence[Any] | np.ndarray,
) -> Corpus:
    """A corpus whose rows have these columns, in this order, and defaults in the others.

    published: what `finish_corpus` keeps of public collections. images: bytes that are no pictures unless given.
    """
    num = len(next(iter(columns.values())))
    images = images or [f"picture {number}".encode() for number in range(num)]
    rows = {
        "uri": [f"{number}.png" for number in range(num)],
        **{name: [value] * num for name, value in {**UNKNOWN, **DEFAULTS}.items()},
        "num_bytes": [len(image) for image in images],
        "digest": [image_digest(image) for image in images],
        **columns,
    }
    table = pa.table({name: rows[name] for name in ACCEPTED_SCHEMA.names}, schema=ACCEPTED_SCHEMA)
    write_shard(str(root), 0, 0, table, images)
    rejected = REJECTED_SCHEMA.empty_table()
    finish_corpus(str(root), table, [(0, num)], rejected, **(published or {}))
    return Corpus.open(root)


def label_rows(corpus: Corpus, labels: np.ndarray, confidence: np.ndarray) -> pa.Table:
    """The label table of all training images: `labels` and `confidence` have one entry an image of the corpus."""
    index = corpus.index(["sample_id", "scenario", "group", "split"])
    train = index["split"].to_numpy(zero_copy_only=False) == "train"
    ids = index["sample_id"].to_numpy()[train]
    return pa.table(
        {
            "sample_id": ids,
            "scenario": index["scenario"].filter(train),
            "group": index["group"].filter(train),
            "label": labels[ids],
            "is_core": np.ones(len(ids), bool),
            "confidence": confidence[ids].astype(np.float32),
        }
    )
