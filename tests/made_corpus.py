"""A corpus as `itkm ingest` makes it, by the same steps in this process: without Ray, in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from made import encoded

from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.writer import finish_corpus, plan_shards
from pipelines.ingest.config import IngestConfig, ingest_config
from pipelines.ingest.judge import judge
from pipelines.ingest.make import _request
from pipelines.ingest.mapped import in_one_list
from pipelines.ingest.published import draws_by_id
from pipelines.ingest.sources import list_sources
from pipelines.ingest.tasks import inspect_pictures, write_shards


def ingested(config: IngestConfig, out: Path) -> Corpus:
    """The corpus that `ingest(config, out)` makes of pictures."""
    sources = list_sources(config)
    rows = pa.array(np.arange(sources.listing.num_rows), pa.int64())
    pictures = sources.listing.append_column("row", rows)
    inspected = inspect_pictures(pictures, sources.roots, config.limits)
    judged = judge(config, sources, inspected)
    accepted = judged.accepted
    shards = plan_shards(accepted["num_bytes"].to_numpy(), config.shard_bytes)
    wanted = accepted
    for name in judged.origin.column_names:
        wanted = wanted.append_column(name, judged.origin[name])
    for shard, (start, stop) in enumerate(shards):
        plan = {
            "shard": [shard],
            "first_id": [start],
            "rows": in_one_list(wanted.slice(start, stop - start)),
        }
        (fault,) = write_shards(pa.table(plan), sources.roots, str(out))["fault"].to_pylist()
        assert not fault, fault
    draws = None if sources.draws is None else draws_by_id(sources.draws, accepted)
    facts = {**_request(config, sources), **sources.facts(), **judged.facts()}
    finish_corpus(str(out), accepted, shards, judged.rejected, None, draws, **facts)
    return Corpus.open(out)


def one_source(out: Path, **source: Any) -> Corpus:
    """The corpus of one source."""
    return ingested(ingest_config(sources=[source]), out)


def write_pictures(root: Path, names: list[str], size: tuple[int, int] = (16, 8)) -> Path:
    """Pictures of noise with these names, of `size` (height, width), in the format that the name says."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if name.endswith("png") else "JPEG"
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        (root / name).write_bytes(encoded(pixels, kind))
    return root
