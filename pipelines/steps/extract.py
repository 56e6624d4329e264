"""Corpus shards -> features, on Ray Data: an actor pool that holds the encoder."""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from itkm_core.corpus.images import decode_image
from itkm_core.corpus.sampling import slice_bounds
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.transforms import to_tensor
from itkm_core.errors import CorpusError, ItkmError, ModelError
from itkm_core.storage.object_store import patiently
from itkm_core.storage.paths import resolve
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import part_folder, write_files
from pipelines.config import RunConfig
from pipelines.steps.encoders import EncoderSource, autocast
from pipelines.steps.shares import places, usable, whole
from pipelines.steps.tasks import users_error
from pipelines.telemetry.handle import Telemetry
from pipelines.telemetry.meter import Meter

if TYPE_CHECKING:
    import torch

# Of each logical CPU the encoder takes three quarters and reading one: with whole CPUs for the
# encoders there would be none left to read with, and the pipeline would wait for itself.
ENCODER_CPU = 0.75
READ_CPU = 0.25

# A block is what an encoder takes at a time, and one file of features. Enough of them that no encoder
# waits long for the last one, large enough that handing over and small files do not show.
BLOCKS_PER_ENCODER = 16
MIN_BLOCK_BYTES, MAX_BLOCK_BYTES = 2**17, 2**25
# Blocks an encoder has been given; with Ray's two it was idle for a quarter of a small corpus' time.
IN_FLIGHT = 4

_PARTS = ["scenario", "group", "split"]
_CHUNK = 32  # images a decoding thread takes at once: enough that handing over does not show


class Extractor:
    """One encoder on one device. Ray Data makes one per actor and hands it blocks of images.

    The features go to the run folder from here: a step of its own for writing would start processes
    that cost more than a small corpus' whole extraction, and move every feature once more.
    """

    def __init__(
        self,
        source: EncoderSource,
        scenarios: Sequence[str],
        config: RunConfig,
        threads: int,
        telemetry: Telemetry,
        out: Place,
    ) -> None:
        import torch

        from itkm_core.model.image_encoder import UNKNOWN_SCENARIO

        torch.set_num_threads(threads)
        self.name = uuid4().hex
        self.decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.fault = ""
        try:
            self.encoder, self.info = source.load(device=self.device)
            self.autocast = autocast(config.extract_precision, self.device)
        except ItkmError as error:
            # Raised, it would be tried again and come out as Ray Data's own error.
            self.fault = str(error)
            return
        self.encoder.eval()
        self.batch = config.compute.extract_batch
        # A checkpoint keeps the scenarios it was trained on; another one of the corpus is unknown to it.
        known = {name: row for row, name in enumerate(self.info.scenarios)}
        self.row_of = {name: known.get(name, UNKNOWN_SCENARIO) for name in scenarios}
        self.meter = Meter(telemetry)
        self.out = out

    def __call__(self, block: pa.Table) -> pa.Table:
        """Encode a block and write its features. One row: which encoder, when it was done, how many images,
        which files, and a fault, after which no others."""
        if self.fault:
            return self._row(0, [])
        try:
            return self._row(block.num_rows, self._written(block))
        except ItkmError as error:  # raised here, it would come out as one of Ray Data's
            self.fault = str(error)
            return self._row(0, [])

    def _written(self, block: pa.Table) -> list[str]:
        """Encode a block and write its features. Returns the files, below `out`."""
        features = np.concatenate(list(self.encode(block)))
        table = pa.table(
            {
                "sample_id": block["sample_id"],
                "feature": pa.FixedSizeListArray.from_arrays(features.ravel(), features.shape[1]),
            }
        )
        keys, files = block.select(_PARTS), []
        for key in keys.group_by(_PARTS).aggregate([]).to_pylist():
            mine = reduce(pc.and_, (pc.equal(keys[name], value) for name, value in key.items()))
            rows = table.filter(mine)
            # A task that is run again, after its node was lost, writes the same files again.
            name = f"from-{rows['sample_id'][0].as_py():012d}.parquet"
            folder = part_folder(Block(key["scenario"], key["group"]), key["split"])
            files.append(f"{folder}/{name}")
            (self.out / files[-1]).write_table(rows)
        return files

    def _row(self, images: int, files: list[str]) -> pa.Table:
        return pa.table(
            {
                "encoder": [self.name],
                "ended": [time.time()],
                "images": [images],
                "files": pa.array([files], pa.list_(pa.string())),
                "fault": [self.fault],
            }
        )

    def encode(self, block: pa.Table) -> Iterator[np.ndarray]:
        """Features [b, D] float32 of the block's images, batch by batch; the next is decoded meanwhile."""
        import torch

        batches = [block.slice(start, self.batch) for start in range(0, block.num_rows, self.batch)]
        for batch, pixels in zip(batches, self._decoded(batches), strict=True):
            groups = torch.from_numpy(batch["group"].to_numpy().astype(np.int64))
            rows = torch.tensor([self.row_of[name] for name in batch["scenario"].to_pylist()])
            with torch.inference_mode(), self.autocast:
                features = self.encoder(pixels, groups, rows)
            yield features.float().cpu().numpy()
            self.meter.add(len(batch))

    def _decoded(self, batches: Sequence[pa.Table]) -> Iterator[torch.Tensor]:
        """[b, 3, H, W] of each batch, on the device; a GPU finds the next one decoded when it is done.

        On a CPU the encoder wants all threads itself, so nothing is decoded beside it.
        """
        ahead = 2 if self.device.type == "cuda" else 1
        pending: deque[list[Future[np.ndarray]]] = deque()
        for batch in [*batches, *[None] * (ahead - 1)]:
            if batch is not None:
                chunks = [batch["image"].slice(at, _CHUNK) for at in range(0, len(batch), _CHUNK)]
                pending.append([self.decoders.submit(self._pixels, chunk) for chunk in chunks])
            if len(pending) == ahead or (batch is None and pending):
                pixels = np.concatenate([part.result() for part in pending.popleft()])
                yield to_tensor(pixels, self.info.mean, self.info.std, self.device)

    def _pixels(self, images: pa.ChunkedArray) -> np.ndarray:
        """uint8 [b, H, W, 3]."""
        size = self.encoder.image_size
        return np.stack([decode_image(image.as_buffer(), size) for image in images])


def extract(
    corpus: Corpus,
    source: EncoderSource,
    config: RunConfig,
    out: Place,
    *,
    splits: Sequence[str],
    telemetry: Telemetry,
    name: str = "extract",
) -> dict[str, Any]:
    """Features of all images of `splits` and the corpus' scenarios, under `out`. Returns facts for the manifest.

    name: of the dataset, in the dashboard.

    Raises:
        ModelError: an encoder cannot be made where it is needed.
        CorpusError: a shard cannot be read where it is needed.
    """
    import ray
    import ray.data

    resources = usable(ray.cluster_resources(), config.compute.cluster_share)
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    plan = plan_extractors(config, resources, machines)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = block_bytes(corpus, plan["actors"])
    # Not read_parquet, nor a repartition: each would ask for whole CPUs, which the encoders hold, and on
    # a machine of a few cores everything would wait for everything. A block is a shard's path.
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
            plan["threads"],
            telemetry,
            out.clear(),
        ),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            size=plan["actors"], max_tasks_in_flight_per_actor=IN_FLIGHT
        ),
        num_cpus=plan["num_cpus"],
        num_gpus=plan["num_gpus"],
    )
    try:
        blocks = encoded.take_all()
    except Exception as error:
        if (mine := users_error(error)) is not None:
            raise mine from None
        raise  # with what it came from: the trace of the process it happened in
    for block in blocks:
        if block["fault"]:
            raise ModelError(block["fault"])
    write_files(out, [name for block in blocks for name in block["files"]])
    devices = {"actors": plan["actors"], "threads": plan["threads"], "gpus": plan["num_gpus"]}
    return {**devices, **speed(blocks, started)}


def speed(blocks: Sequence[Mapping[str, Any]], asked: float) -> dict[str, float]:
    """What the encoders' blocks tell: seconds until every encoder had ended its first, and the rate after that.

    blocks: encoder, ended (time.time()) and images of each. The rate is 0 where no block came after.
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
    """Bytes of images an encoder gets at a time."""
    sizes = [fs.get_file_info(path).size or 0 for fs, path in map(resolve, corpus.shard_paths())]
    return min(MAX_BLOCK_BYTES, max(MIN_BLOCK_BYTES, sum(sizes) // (encoders * BLOCKS_PER_ENCODER)))


def read_shards(
    batch: pa.Table, splits: tuple[str, ...], num_bytes: int, scenarios: tuple[str, ...]
) -> Iterator[pa.Table]:
    """Images of the wanted parts in blocks of about `num_bytes`, so that no worker holds a whole shard."""
    columns = ["sample_id", "image", *_PARTS]
    for shard in batch["shard"].to_pylist():
        for rows in _row_groups(shard, columns):
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
            f"cannot read the shard {shard} of the corpus on the node {platform.node()}: {error}; every node has to "
            "see the corpus under its path (itkm doctor looks). If the shard is damaged or gone, ingest again"
        ) from error


def plan_extractors(
    config: RunConfig, resources: Mapping[str, float], machines: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """How many encoders, and what each asks of Ray: a GPU each where there are any, and its share of the CPUs.

    With a GPU the threads decode pictures for it, else they encode as well. An encoder is on one of the `machines`,
    so it gets no more threads than leave all of them a place.
    """
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    share = config.compute.gpus_per_worker
    num_gpus = (1.0 if gpus else 0.0) if share is None else share
    if num_gpus:
        actors = config.compute.num_extractors or max(1, whole(gpus, num_gpus))
    else:
        actors = min(config.compute.num_extractors or cpus, cpus)
    threads = max(1, cpus // actors)
    while threads > 1 and places(machines, threads, num_gpus) < actors:
        threads -= 1
    num_cpus = min(threads, cpus / actors) * ENCODER_CPU
    return {"actors": actors, "threads": threads, "num_cpus": num_cpus, "num_gpus": num_gpus}
