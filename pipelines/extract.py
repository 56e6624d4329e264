"""Corpus shards -> features, on Ray Data: an actor pool that holds the encoder.

Files: features/scenario=<s>/group=<g>/split=<p>/*.parquet with `sample_id` and `feature` [D] float32 of
unit norm. Ray Data keeps no row order, so whoever reads a part gets it sorted and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from itkm_core.corpus.paths import resolve
from itkm_core.corpus.schema import Corpus
from itkm_core.errors import FeatureError
from pipelines.config import RunConfig
from pipelines.encoders import EncoderSource, autocast
from pipelines.storage import Place
from pipelines.telemetry import Telemetry

# Of each logical CPU the encoder takes three quarters and reading one: with whole CPUs for the
# encoders there would be none left to read with, and the pipeline would wait for itself.
ENCODER_CPU = 0.75
READ_CPU = 0.25
BLOCK_BYTES = 2**20

_PARTS = ("scenario", "group", "split")


class Extractor:
    """One encoder on one device. Ray Data makes one per actor and hands it batches."""

    def __init__(
        self,
        source: EncoderSource,
        scenarios: Sequence[str],
        precision: str,
        threads: int,
        telemetry: Telemetry,
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder, self.info = source.load(device=self.device)
        self.encoder.eval()
        self.autocast = autocast(precision, self.device)
        self.row_of = {name: row for row, name in enumerate(scenarios)}
        self.telemetry = telemetry

    def __call__(self, batch: pa.Table) -> pa.Table:
        import torch

        from itkm_core.corpus.images import decode_image
        from itkm_core.corpus.transforms import to_tensor

        size = self.encoder.image_size
        images = np.stack([decode_image(image.as_buffer(), size) for image in batch["image"]])
        tensor = to_tensor(images, self.info.mean, self.info.std, self.device)
        groups = torch.from_numpy(batch["group"].to_numpy().astype(np.int64))
        rows = torch.tensor([self.row_of[name] for name in batch["scenario"].to_pylist()])
        with torch.inference_mode(), self.autocast:
            features = self.encoder(tensor, groups, rows)
        values = features.float().cpu().numpy()
        self.telemetry.advance(len(values))
        return pa.table(
            {
                "sample_id": batch["sample_id"],
                "feature": pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1]),
                **{part: batch[part] for part in _PARTS},
            }
        )


def extract(
    corpus: Corpus,
    source: EncoderSource,
    config: RunConfig,
    out: Place,
    *,
    splits: Sequence[str],
    telemetry: Telemetry,
) -> dict[str, Any]:
    """Features of all images of `splits`, under `out`. Returns facts for the manifest.

    Raises:
        FeatureError: an image's feature is missing, doubled, not finite or not of unit norm.
    """
    import ray
    import ray.data

    plan = plan_extractors(config, ray.cluster_resources())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Ray's 128 MiB would give a whole small corpus to one encoder while the others look on.
    context.target_max_block_size = BLOCK_BYTES
    fs, target = out.clear().resolve()
    # Not read_parquet, nor a repartition: each would ask for whole CPUs, which the encoders hold, and on
    # a machine of a few cores everything would wait for everything. A block is a shard's path.
    dataset = ray.data.from_arrow(
        [pa.table({"shard": [path]}) for path in corpus.shard_paths()]
    ).map_batches(
        read_shards,
        fn_args=(tuple(splits),),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=READ_CPU,
    )
    dataset = dataset.map_batches(
        Extractor,
        fn_constructor_args=(
            source,
            corpus.scenarios,
            config.extract_precision,
            plan["threads"],
            telemetry,
        ),
        batch_size=config.compute.extract_batch,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(size=plan["actors"]),
        num_cpus=plan["num_cpus"],
        num_gpus=plan["num_gpus"],
    )
    dataset.write_parquet(
        target, filesystem=fs, partition_cols=list(_PARTS), ray_remote_args={"num_cpus": READ_CPU}
    )
    return {"actors": plan["actors"], "threads": plan["threads"], "gpus": plan["num_gpus"]}


def read_shards(batch: pa.Table, splits: tuple[str, ...]) -> Iterator[pa.Table]:
    """Rows of the wanted splits, a row group at a time, so that no worker holds a whole shard."""
    for shard in batch["shard"].to_pylist():
        fs, path = resolve(shard)
        with fs.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number, columns=["sample_id", "image", *_PARTS])
                rows = rows.filter(pc.is_in(rows["split"], pa.array(splits)))
                if rows.num_rows:
                    yield rows


def plan_extractors(config: RunConfig, resources: dict[str, float]) -> dict[str, Any]:
    """How many encoders, and what each asks of Ray: a GPU each where there are any, else a CPU's share."""
    cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
    share = config.compute.gpus_per_worker
    num_gpus = (1.0 if gpus else 0.0) if share is None else share
    if num_gpus:
        actors = config.compute.num_extractors or max(1, int(gpus / num_gpus))
        return {"actors": actors, "threads": 1, "num_cpus": ENCODER_CPU, "num_gpus": num_gpus}
    actors = min(config.compute.num_extractors or cpus, cpus)
    threads = max(1, cpus // actors)
    return {"actors": actors, "threads": threads, "num_cpus": threads * ENCODER_CPU, "num_gpus": 0}


def read_features(
    place: Place, ids: np.ndarray, *, scenario: str | None = None, group: int | None = None
) -> np.ndarray:
    """Features of exactly `ids`, in that order: float32 [len(ids), D].

    Only the files of the given scenario and group are read.

    Raises:
        FeatureError: an id is missing or there twice, or a row is not finite or not of unit norm.
    """
    fs, root = place.resolve()
    schema = pa.schema([("scenario", pa.string()), ("group", pa.int8()), ("split", pa.string())])
    dataset = pads.dataset(
        root, filesystem=fs, format="parquet", partitioning=pads.partitioning(schema, flavor="hive")
    )
    keep = pc.scalar(True)
    if scenario is not None:
        keep = keep & (pc.field("scenario") == scenario)
    if group is not None:
        keep = keep & (pc.field("group") == group)
    table = dataset.to_table(columns=["sample_id", "feature"], filter=keep)
    found = table["sample_id"].to_numpy()
    order = np.argsort(found, kind="stable")
    place_of = np.searchsorted(found, ids, sorter=order)
    place_of = order[np.minimum(place_of, len(order) - 1)] if len(order) else place_of
    if len(found) != len(np.unique(found)):
        raise FeatureError(f"{place}: {len(found) - len(np.unique(found))} sample ids come twice")
    missing = np.ones(len(ids), bool) if not len(found) else found[place_of] != np.asarray(ids)
    if missing.any():
        raise FeatureError(
            f"{place}: no feature for {int(missing.sum())} of {len(ids)} images, "
            f"the first is sample_id {int(np.asarray(ids)[missing][0])}; delete the folder to redo it"
        )
    width = table.schema.field("feature").type.list_size
    # flatten() honours the slice of each chunk, .values would not.
    flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table["feature"].chunks])
    features = flat.reshape(-1, width)[place_of]
    norms = np.linalg.norm(features, axis=1)
    wrong = ~(np.abs(norms - 1.0) < 1e-3)  # also true for NaN
    if wrong.any():
        raise FeatureError(
            f"{place}: {int(wrong.sum())} features are not finite or not of unit norm, the first is "
            f"sample_id {int(np.asarray(ids)[wrong][0])}; the encoder that made them has diverged"
        )
    return features


def features_of_run(step: Place) -> Place:
    return step / "features"
