"""A corpus of a few pictures, written without Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made import encoded

from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA, Corpus
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, finish_corpus, plan_shards, write_shard


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., tuple[Corpus, list[bytes]]]:
    """write_corpus(num, shard_bytes, people, said of the rejected picture) -> the corpus and its encoded pictures."""

    def write(
        num: int = 23,
        shard_bytes: int = 2000,
        *,
        people: bool = True,
        name: str = "corpus",
        said: str = "",
    ) -> tuple[Corpus, list[bytes]]:
        rng = np.random.default_rng(0)
        images = [
            encoded(rng.integers(0, 256, (4 + i % 5, 6, 3), dtype=np.uint8)) for i in range(num)
        ]
        rows = pa.table(
            {
                "uri": [f"{i:03d}.png" for i in range(num)],
                "scenario": ["b" if i % 3 else "a" for i in range(num)],
                "group": [i % 2 for i in range(num)],
                "camera": [i % 4 for i in range(num)],
                "tracklet": [-1] * num,
                "frame": [-1] * num,
                "split": ["train" if i % 5 else "query" for i in range(num)],
                "person": [i // 2 if people else -1 for i in range(num)],
                "clothes": [-1] * num,
                "height": [4 + i % 5 for i in range(num)],
                "width": [6] * num,
                "num_bytes": [len(image) for image in images],
                "digest": [image_digest(image) for image in images],
            },
            schema=ACCEPTED_SCHEMA,
        )
        shards = plan_shards(rows["num_bytes"].to_numpy(), shard_bytes)
        root = str(tmp_path / name)
        for shard, (start, stop) in enumerate(shards):
            write_shard(root, shard, start, rows.slice(start, stop - start), images[start:stop])
        rejected = pa.table(
            {"uri": ["x.png"], "scenario": ["a"], "reason": ["empty"], "detail": [said]},
            schema=REJECTED_SCHEMA,
        )
        finish_corpus(root, rows, shards, rejected, parameters={"seed": 1})
        return Corpus.open(root), images

    return write
