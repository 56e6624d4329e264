"""Corpus shards -> features, on Ray Data: tasks that read, and a pool of actors that encode."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from itkm_core.corpus.sampling import slice_bounds
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import CorpusError, ModelError
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import resolve
from itkm_core.storage.place import Place
from pipelines.artifacts.features import write_files
from pipelines.config import ComputeConfig, RunConfig
from pipelines.faults import carried, unwrapped
from pipelines.steps.encoders import EncoderSource
from pipelines.steps.extractor import PARTS, Extractor
from pipelines.steps.shares import usable
from pipelines.steps.workers import Machine, Workers, living_machines, plan_workers
from pipelines.telemetry.handle import Telemetry

# Of each logical CPU an encoder takes three quarters, and readers the rest: with whole CPUs for the encoders
# none would be left to read with, and the pipeline would wait for itself.
ENCODER_CPU = 0.75
READ_CPU = 0.25

# A block of images is what an encoder takes at a time, and becomes one file of features. Small enough that no
# encoder waits long for the last one, large enough that hand-over and files cost little.
BLOCKS_PER_ENCODER = 16
MIN_BLOCK_BYTES, MAX_BLOCK_BYTES = 2**17, 2**25
# Blocks given to an encoder ahead; with Ray's two it was idle for a quarter of the time on a small corpus.
IN_FLIGHT = 4


def extract(
    corpus: Corpus,
    source: EncoderSource,
    config: RunConfig,
    out: Place,
    *,
    splits: Sequence[str],
    telemetry: Telemetry,
    name: str = "extract",
    round: int = 0,
) -> dict[str, Any]:
    """Features of all images of `splits` and the corpus' scenarios, under `out`. Returns facts for the manifest.

    name: of the dataset, in the dashboard. round: whose views a derived group shows; 0 outside of a run's rounds.

    Raises:
        ModelError: an encoder cannot be made where it is needed.
        CorpusError: a shard cannot be read where it is needed.
    """
    import ray
    import ray.data

    resources = usable(ray.cluster_resources(), config.compute.cluster_share)
    encoders = plan_encoders(config.compute, resources, living_machines())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = block_bytes(corpus, encoders.number)
    # Neither read_parquet nor a repartition: each would ask for whole CPUs, which the encoders hold, and on a
    # machine of a few cores everything would wait for everything. So the dataset is of shards' paths.
    shards = [pa.table({"shard": [path]}) for path in corpus.shard_paths()]
    started = time.time()
    dataset = ray.data.from_arrow(shards)
    dataset.set_name(name)
    encoded = dataset.map_batches(
        read_shards,
        fn_args=(tuple(splits), context.target_max_block_size, corpus.scenarios),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=READ_CPU,
    ).map_batches(
        Extractor,
        fn_constructor_args=(
            source,
            corpus.scenarios,
            config,
            encoders.threads,
            telemetry,
            out.clear(),
            corpus.in_other_clothes,
            round,
        ),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            size=encoders.number, max_tasks_in_flight_per_actor=IN_FLIGHT
        ),
        num_cpus=encoders.cpus,
        num_gpus=encoders.gpus,
    )
    with unwrapped():
        blocks = encoded.take_all()
    for block in blocks:
        if block["fault"]:
            raise ModelError(block["fault"])
    notes = [block["note"] for block in blocks if block["note"]]
    write_files(out, [name for block in blocks for name in block["files"]])
    return {
        "actors": encoders.number,
        "threads": encoders.threads,
        "gpus": encoders.gpus,
        **({"warning": notes[0]} if notes else {}),
        **speed(blocks, started),
    }


def speed(blocks: Sequence[Mapping[str, Any]], asked: float) -> dict[str, float]:
    """Seconds until every encoder had finished its first block, and images per second after that.

    blocks: encoder, ended (time.time()) and images of each. asked: time.time() before the first. The rate is 0
    if no block came after.
    """
    first: dict[str, float] = {}
    for block in blocks:
        first[block["encoder"]] = min(block["ended"], first.get(block["encoder"], block["ended"]))
    if not first:
        return {"start_seconds": 0.0, "images_per_second": 0.0}
    steady = max(first.values())
    images = sum(block["images"] for block in blocks if block["ended"] > steady)
    seconds = max(block["ended"] for block in blocks) - steady
    rate = images / seconds if seconds > 0 else 0.0
    return {"start_seconds": steady - asked, "images_per_second": rate}


def block_bytes(corpus: Corpus, encoders: int) -> int:
    """Bytes of images that an encoder gets at a time."""
    sizes = [fs.get_file_info(path).size or 0 for fs, path in map(resolve, corpus.shard_paths())]
    return min(MAX_BLOCK_BYTES, max(MIN_BLOCK_BYTES, sum(sizes) // (encoders * BLOCKS_PER_ENCODER)))


def read_shards(
    batch: pa.Table, splits: tuple[str, ...], num_bytes: int, scenarios: tuple[str, ...]
) -> Iterator[pa.Table]:
    """Images of the wanted splits and scenarios in blocks of about `num_bytes`: no worker holds a whole shard."""
    columns = ["sample_id", "image", *PARTS]
    with carried():
        for rows in chain.from_iterable(
            _row_groups(shard, columns) for shard in batch["shard"].to_pylist()
        ):
            wanted = pc.is_in(rows["split"], pa.array(splits))
            rows = rows.filter(pc.and_(wanted, pc.is_in(rows["scenario"], pa.array(scenarios))))
            parts = max(1, rows.nbytes // num_bytes)
            bounds = slice_bounds(len(rows), parts)
            yield from (rows.slice(a, b - a) for a, b in pairwise(bounds) if b > a)


def _row_groups(shard: str, columns: list[str]) -> Iterator[pa.Table]:
    fs, path = resolve(shard)
    try:
        with fs.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for number in range(file.num_row_groups):
                yield patiently(partial(file.read_row_group, number, columns=columns))
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(
            f"cannot read the shard {shard} of the corpus on the node {platform.node()}: {error}; every node must "
            "see the corpus under this path (itkm doctor checks it). If the shard is damaged or gone, ingest again"
        ) from error


def plan_encoders(
    compute: ComputeConfig, resources: Mapping[str, float], machines: Sequence[Machine]
) -> Workers:
    """The encoders, and what each asks of Ray: a GPU where there are any, and its share of the CPUs.

    With a GPU the threads decode pictures for it, without one they encode as well.
    """
    planned = plan_workers(
        resources,
        machines,
        asked=compute.num_extractors,
        gpus_each=compute.gpus_per_worker,
        every_cpu=True,
    )
    return replace(planned, cpus=planned.cpus * ENCODER_CPU)
