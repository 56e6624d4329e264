from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.corpus.images import decode_image
from itkm_core.corpus.schema import Corpus
from itkm_core.corpus.transforms import to_tensor
from itkm_core.errors import CorpusError, FeatureError, ModelError
from itkm_core.model.image_encoder import UNKNOWN_SCENARIO
from itkm_core.storage.place import Place
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.write import write_people
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import read_features
from pipelines.config import load_config
from pipelines.ingest.config import IngestConfig, Source
from pipelines.ingest.make import ingest
from pipelines.steps.encoders import EncoderSource
from pipelines.steps.extract import (
    block_bytes,
    extract,
    plan_encoders,
    read_shards,
    speed,
)
from pipelines.steps.extractor import Extractor
from pipelines.steps.workers import places
from pipelines.telemetry.handle import Telemetry


@pytest.fixture(scope="module")
def corpus(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    base = tmp_path_factory.mktemp("extract")
    write_people(SyntheticConfig(people_train=8, people_test=4, images=4, seed=3), base / "people")
    source = Source(kind="synthetic", path=str(base / "people"))
    ingest(IngestConfig(sources=[source]), str(base / "corpus"))
    return Corpus.open(base / "corpus")


@pytest.fixture
def source(corpus: Corpus) -> EncoderSource:
    return EncoderSource(load_config("tiny").model, corpus.scenarios, seed=0)


def plainly(corpus: Corpus, source: EncoderSource) -> np.ndarray:
    """Every image's feature one by one, in order of sample_id."""
    import torch

    encoder, info = source.load()
    encoder.eval()
    table = pa.concat_tables([pq.read_table(path) for path in corpus.shard_paths()])
    rows = []
    for row in table.sort_by("sample_id").to_pylist():
        pixels = decode_image(row["image"], encoder.image_size)[None]
        group = torch.tensor([row["group"]])
        scenario = torch.tensor([corpus.scenarios.index(row["scenario"])])
        with torch.inference_mode():
            rows.append(encoder(to_tensor(pixels, info.mean, info.std), group, scenario)[0].numpy())
    return np.stack(rows)


@pytest.mark.ray
def test_features_are_those_of_one_image_at_a_time(
    corpus: Corpus, source: EncoderSource, tmp_path: Path
) -> None:
    config = load_config("tiny", ["extract_precision=fp32", "compute.extract_batch=7"])
    out = Place.at(tmp_path / "features")
    splits = ["train", "query", "gallery"]
    facts = extract(corpus, source, config, out, splits=splits, telemetry=Telemetry())
    found = read_features(out, np.arange(corpus.num_images))
    np.testing.assert_allclose(found, plainly(corpus, source), atol=2e-6)
    assert facts["actors"] == 2
    assert facts["start_seconds"] > 0


@pytest.mark.ray
def test_only_the_wanted_splits_are_encoded_and_old_files_are_gone(
    corpus: Corpus, source: EncoderSource, tmp_path: Path
) -> None:
    out = Place.at(tmp_path / "features")
    (out / "scenario=uvi" / "group=0" / "split=train" / "old.parquet").write_bytes(b"old")
    config = load_config("tiny", ["compute.num_extractors=1"])
    extract(corpus, source, config, out, splits=["train"], telemetry=Telemetry())
    index = corpus.index(["sample_id", "split", "scenario", "group"])
    split = index["split"].to_numpy(zero_copy_only=False)
    train = index["sample_id"].to_numpy()[split == "train"]
    assert len(read_features(out, train)) == len(train)
    with pytest.raises(FeatureError, match="no feature for"):
        read_features(out, np.arange(corpus.num_images))
    part = index.filter(pa.array(split == "train")).to_pylist()
    mine = [r["sample_id"] for r in part if (r["scenario"], r["group"]) == ("uvi", 1)]
    assert len(read_features(out, np.array(mine), Block("uvi", 1))) == len(mine)


def test_an_encoder_keeps_its_own_scenarios_and_knows_no_others(tmp_path: Path) -> None:
    trained = EncoderSource(load_config("tiny").model, ("ucc", "uvi"), seed=0)
    seen = ("ucr", "uvi")
    made = Extractor(trained, seen, load_config("tiny"), 1, Telemetry(), Place.at(tmp_path))
    assert made.row_of == {"ucr": UNKNOWN_SCENARIO, "uvi": 1}


def test_blocks_hold_every_wanted_row_once_and_about_as_many_bytes_as_asked(corpus: Corpus) -> None:
    shards = pa.table({"shard": corpus.shard_paths()})
    blocks = list(read_shards(shards, ("train", "gallery"), 2**14, corpus.scenarios))
    ids = np.concatenate([block["sample_id"].to_numpy() for block in blocks])
    index = corpus.index(["sample_id", "split"])
    split = index["split"].to_numpy(zero_copy_only=False)
    wanted = index["sample_id"].to_numpy()[np.isin(split, ["train", "gallery"])]
    assert sorted(ids) == sorted(wanted)
    assert len(blocks) > 3
    assert max(block.nbytes for block in blocks) < 2 * 2**14


def test_a_larger_corpus_or_fewer_encoders_make_larger_blocks_within_bounds(corpus: Corpus) -> None:
    size = sum(os.path.getsize(path) for path in corpus.shard_paths())
    assert block_bytes(corpus, 1) == max(2**17, size // 24)
    assert block_bytes(corpus, 1000) == 2**17


def test_speed_leaves_out_what_came_before_the_last_encoder_had_begun() -> None:
    blocks = [
        {"encoder": "a", "ended": 10.0, "images": 5},
        {"encoder": "a", "ended": 11.0, "images": 5},
        {"encoder": "b", "ended": 12.0, "images": 7},
        {"encoder": "a", "ended": 13.0, "images": 5},
        {"encoder": "b", "ended": 14.0, "images": 7},
    ]
    assert speed(blocks, 8.0) == {"start_seconds": 4.0, "images_per_second": 6.0}
    assert speed(blocks[:1], 8.0) == {"start_seconds": 2.0, "images_per_second": 0.0}
    assert speed([], 8.0) == {"start_seconds": 0.0, "images_per_second": 0.0}


@pytest.mark.parametrize(
    ("machines", "asked", "actors", "threads"),
    [
        ([2, 2], 2, 2, 2),
        ([2, 2], 1, 1, 2),
        ([8, 1], 3, 3, 2),
        ([1, 1, 1], None, 3, 1),
        ([4], 3, 3, 1),
    ],
)
def test_an_encoder_fits_one_machine(
    machines: list[int], asked: int | None, actors: int, threads: int
) -> None:
    overrides = [] if asked is None else [f"compute.num_extractors={asked}"]
    nodes = [{"CPU": 0.0}, *({"CPU": float(cpus)} for cpus in machines)]
    plan = plan_encoders(
        load_config("tiny", overrides).compute, {"CPU": float(sum(machines))}, nodes
    )
    assert (plan.number, plan.threads) == (actors, threads)
    assert sum(cpus // threads for cpus in machines) >= actors


@pytest.mark.parametrize(
    ("machines", "actors", "threads", "num_cpus"),
    [
        ([(12, 1)], 1, 12, 9.0),
        ([(96, 8), (96, 8), (32, 0)], 16, 12, 9.0),  # the CPU machine decodes for nobody
        ([(3, 4)], 4, 1, 0.5625),  # fewer CPUs than GPUs: each encoder has a place all the same
    ],
)
def test_a_gpu_has_its_share_of_the_cpus_to_decode_for_it(
    machines: list[tuple[int, int]], actors: int, threads: int, num_cpus: float
) -> None:
    nodes = [{"CPU": float(cpus), "GPU": float(gpus)} for cpus, gpus in machines]
    total = {name: sum(node[name] for node in nodes) for name in ("CPU", "GPU")}
    plan = plan_encoders(load_config("tiny").compute, total, nodes)
    found = (plan.number, plan.threads, plan.cpus, plan.gpus)
    assert found == (actors, threads, num_cpus, 1.0)
    assert places(nodes, plan.cpus, 1.0) >= actors
    assert plan.cpus * actors < total["CPU"], "none is left to read with"


@pytest.mark.ray
def test_weights_that_a_machine_does_not_have_are_one_error(
    corpus: Corpus, source: EncoderSource, tmp_path: Path
) -> None:
    model = source.model.model_copy(update={"pretrained": str(tmp_path / "mine.safetensors")})
    out = Place.at(tmp_path / "features")
    config = load_config("tiny", ["compute.num_extractors=1"])
    with pytest.raises(ModelError, match=r"mine\.safetensors, but there is no such file on"):
        extract(
            corpus,
            EncoderSource(model, source.scenarios, seed=0),
            config,
            out,
            splits=["train"],
            telemetry=Telemetry(),
        )
    assert not out.names()


@pytest.mark.ray
@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_shard_that_a_machine_cannot_read_is_one_error_that_names_it(
    corpus: Corpus, source: EncoderSource, tmp_path: Path, harm: str
) -> None:
    shutil.copytree(corpus.root, tmp_path / "corpus")
    broken = Corpus.open(tmp_path / "corpus")
    shard = Path(broken.shard_paths()[0])
    if harm == "gone":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-100])
    config = load_config("tiny", ["compute.num_extractors=1"])
    out = Place.at(tmp_path / "features")
    with pytest.raises(CorpusError, match=f"cannot read the shard {shard} of the corpus on the"):
        extract(broken, source, config, out, splits=["train"], telemetry=Telemetry())
