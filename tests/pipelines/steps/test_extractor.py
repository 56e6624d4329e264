"""What an encoder's actor sees, without Ray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from made_corpus import one_source, write_pictures

from itkm_core.corpus.clothes_view import other_clothes, view_keys
from itkm_core.corpus.images import decode_image
from itkm_core.corpus.sampling import GroupLabels, plan_step
from itkm_core.corpus.transforms import Augmentation, to_tensor
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import label_table
from pipelines.config import make_config
from pipelines.steps.encoders import EncoderSource
from pipelines.steps.extractor import Extractor
from pipelines.telemetry.handle import Telemetry
from pipelines.training.round_worker import batch_loader
from pipelines.training.tasks import TrainTask

SIZE, ROUND = (64, 32), 3
PLAIN = {"flip": 0, "pad": 0, "erase": 0}


def test_extraction_and_training_see_one_view_of_a_round(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ITKM_CACHE", str(tmp_path / "cache"))
    root = write_pictures(
        tmp_path / "p", [f"{split}/{n}.png" for split in ("train", "query") for n in range(3)]
    )
    source = {"kind": "folder", "path": str(root), "pattern": "{split}/{name}", "scenario": "s"}
    corpus = one_source(tmp_path / "corpus", **source, derive="clothes")
    rows = pa.concat_tables([pq.read_table(shard) for shard in corpus.shard_paths()])
    ids, groups = rows["sample_id"].to_numpy(), rows["group"].to_numpy()
    expected = np.stack([decode_image(image, SIZE) for image in rows["image"].to_pylist()])
    views = groups == 1
    assert views.sum() == 3
    plain = expected.copy()
    expected[views] = other_clothes(plain[views], view_keys(7, ROUND, ids[views]))

    config = make_config({"seed": 7, "augmentation": PLAIN, "extract_precision": "fp32"})
    encoders = EncoderSource(config.model, corpus.scenarios, seed=0)
    place = Place.at(tmp_path / "out")
    extractor = Extractor(
        encoders,
        corpus.scenarios,
        config,
        1,
        Telemetry(),
        place,
        corpus.in_other_clothes,
        ROUND,
    )
    encoder, info = encoders.load()
    with torch.inference_mode():
        pixels = to_tensor(expected, info.mean, info.std)
        zero = torch.zeros(len(rows), dtype=torch.int64)
        wanted = encoder.eval()(pixels, torch.from_numpy(groups.astype(np.int64)), zero)
    found = np.concatenate(list(extractor.encode(rows)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)

    train = rows["split"].to_numpy(zero_copy_only=False) == "train"
    blocks = [(group, ids[train & (groups == group)]) for group in (0, 1)]
    tables = [
        label_table(
            Block("s", group), own, np.zeros(3, np.int64), np.ones(3, bool), np.ones(3, np.float32)
        )
        for group, own in blocks
    ]
    task = TrainTask(
        corpus_root=corpus.root,
        config=config,
        scenarios=corpus.scenarios,
        number=ROUND,
        labels=(),
        out=place,
        telemetry=Telemetry(),
        source=encoders,
        previous=None,
    )
    labels = [GroupLabels(0, group, own, np.zeros(3, np.int64)) for group, own in blocks]
    options = {"clusters_per_group": 1, "images_per_cluster": 3, "seed": 7, "step": 0}
    plan = plan_step(labels, **options, round=ROUND)
    loaded = batch_loader(task, tables, info).load(plan)
    assert config.augmentation.of("uvi", 0) == Augmentation(**PLAIN)
    torch.testing.assert_close(loaded, pixels[torch.from_numpy(plan.sample_ids)], rtol=0, atol=0)
    assert not np.array_equal(expected, plain)
    other = batch_loader(task, tables, info).load(plan_step(labels, **options, round=ROUND + 1))
    assert not torch.equal(other[plan.groups == 1], loaded[plan.groups == 1])
