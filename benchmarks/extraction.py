"""Ray Data extraction against a bare torch loop over the same shards, same model, same threads.

    python benchmarks/extraction.py [--json FILE]

Targets: Ray Data reaches at least 0.85 of the bare loop's images/s, and two single-threaded encoders at least
1.7 times one, both excluding start-up: the clock runs from when every encoder has finished its first block until
the last feature is on disk. The variants take turns, `--repeats` times each; medians count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_corpus import console, made_corpus, own_ray, record, scratch, show

from itkm_core.corpus.images import decode_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.transforms import to_tensor
from itkm_core.storage.place import Place
from pipelines.config import RunConfig, load_config
from pipelines.steps.encoders import EncoderSource, autocast
from pipelines.steps.extract import extract
from pipelines.telemetry.handle import Telemetry

_COLUMNS = ["sample_id", "image", "scenario", "group", "split"]


def bare(corpus: Corpus, source: EncoderSource, config: RunConfig, out: Path) -> float:
    """Images per second of one process with one thread: read, decode, encode, write."""
    import torch

    torch.set_num_threads(1)
    out.mkdir(parents=True)
    encoder, info = source.load()
    encoder.eval()
    context = autocast(config.extract_precision, torch.device("cpu"))
    row_of = {name: row for row, name in enumerate(corpus.scenarios)}
    started, images = 0.0, 0
    for number, batch in enumerate(batches(corpus, config.compute.extract_batch)):
        pixels = np.stack([decode_image(i.as_buffer(), encoder.image_size) for i in batch["image"]])
        groups = torch.from_numpy(batch["group"].to_numpy().astype(np.int64))
        rows = torch.tensor([row_of[name] for name in batch["scenario"].to_pylist()])
        with torch.inference_mode(), context:
            features = encoder(to_tensor(pixels, info.mean, info.std), groups, rows)
        values = features.float().numpy()
        feature = pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
        table = pa.table({"sample_id": batch["sample_id"], "feature": feature})
        pq.write_table(table, out / f"{number}.parquet")
        if number == 0:
            started = time.time()
        else:
            images += len(batch)
    return images / (time.time() - started)


def batches(corpus: Corpus, size: int):
    for path in corpus.shard_paths():
        for batch in pq.ParquetFile(path).iter_batches(batch_size=size, columns=_COLUMNS):
            yield pa.Table.from_batches([batch])


def on_ray(
    corpus: Corpus, source: EncoderSource, config: RunConfig, out: Path, actors: int
) -> float:
    """Images per second from when every encoder has finished its first block until the last one is on disk."""
    compute = config.compute.model_copy(update={"num_extractors": actors})
    facts = extract(
        corpus,
        source,
        config.model_copy(update={"compute": compute}),
        Place.at(out),
        splits=["train", "query", "gallery"],
        telemetry=Telemetry(),
    )
    return facts["images_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=168, help="168 x 6 x 4 = 4,032 images")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    config = load_config("tiny", ["compute.extract_batch=64"])
    rates: dict[str, list[float]] = {"bare loop": [], "Ray, 1 encoder": [], "Ray, 2 encoders": []}
    with scratch() as base:
        with own_ray(2):
            corpus = Corpus.open(made_corpus(base, arguments.people, 4))
        source = EncoderSource(config.model, corpus.scenarios, config.seed)
        for turn in range(arguments.repeats):
            rates["bare loop"].append(bare(corpus, source, config, base / f"bare-{turn}"))
            for actors in (1, 2):
                with own_ray(actors):  # one CPU each, so every encoder has one thread
                    name = f"Ray, {actors} encoder{'s' if actors > 1 else ''}"
                    out = base / f"ray-{actors}-{turn}"
                    rates[name].append(on_ray(corpus, source, config, out, actors))
            console.print(f"turn {turn + 1}: " + str({k: round(v[-1]) for k, v in rates.items()}))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = statistics.median(np.array(rates["Ray, 1 encoder"]) / np.array(rates["bare loop"]))
    scaling = statistics.median(
        np.array(rates["Ray, 2 encoders"]) / np.array(rates["Ray, 1 encoder"])
    )
    rows = [{"what": name, "images/s": rate} for name, rate in medians.items()]
    show(f"{corpus.num_images:,} images", rows)
    console.print(f"Ray Data / bare loop: {ratio:.2f} (target: at least 0.85)")
    console.print(f"two encoders / one:   {scaling:.2f} (target: at least 1.7)")
    record(arguments.json, {"rates": rates, "ratio": ratio, "scaling": scaling})


if __name__ == "__main__":
    main()
