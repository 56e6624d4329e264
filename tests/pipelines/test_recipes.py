"""Every recipe on a miniature of the collections it is for: what ingest calls them is what the recipe reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import unit_noise
from made_corpus import ingested, write_pictures

from itkm_core.corpus.sampling import plan_step
from itkm_core.corpus.schema import Corpus, narrow, train_ids
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.labels import label_table, read_labels
from pipelines.config import RunConfig, load_config, recipe_names
from pipelines.ingest.config import ingest_config
from pipelines.steps.encoders import EncoderSource
from pipelines.telemetry.handle import Telemetry
from pipelines.training.round_worker import batch_loader, build_stage
from pipelines.training.tasks import TrainTask
from pipelines.training.worker import group_indices

PEOPLE, SHOTS = (1, 2, 3), (1, 2)
TINY = ["model.name=itkm-tiny", "model.pretrained=null", "model.image_size=[64, 32]"]
SMALL = ["homogeneous.precision=fp32", "homogeneous.warmup_steps=0", "homogeneous.lr=1.0e-3"]


def sysu(root: Path) -> dict[str, Any]:
    write_pictures(
        root,
        [
            f"cam{camera}/{person:04d}/{shot:04d}.jpg"
            for camera in range(1, 7)
            for person in PEOPLE
            for shot in SHOTS
        ],
    )
    (root / "exp").mkdir()
    for name, ids in (("train", "1"), ("val", "2"), ("test", "3")):
        (root / "exp" / f"{name}_id.txt").write_text(ids)
    return {"kind": "sysu-mm01"}


def ltcc(root: Path) -> dict[str, Any]:
    write_pictures(
        root,
        [
            f"{folder}/{person:03d}_{clothes}_c{clothes}_{shot:06d}.png"
            for folder in ("train", "query", "test")
            for person in PEOPLE
            for clothes in (1, 2)
            for shot in SHOTS
        ],
    )
    return {"kind": "ltcc", "derive": "clothes"}


def market(root: Path) -> dict[str, Any]:
    write_pictures(
        root,
        [
            f"{folder}/{person:04d}_c{camera}s1_{shot:06d}_00.jpg"
            for folder in ("bounding_box_train", "query", "bounding_box_test")
            for person in PEOPLE
            for camera in (1, 2)
            for shot in SHOTS
        ],
    )
    return {"kind": "market1501"}


def mlr(root: Path) -> dict[str, Any]:
    write_pictures(
        root,
        [
            f"{folder}/{person:04d}_c{camera}_{shot:05d}.jpg"
            for folder, cameras in (
                ("bounding_box_train", (1, 2)),
                ("query", (1,)),
                ("bounding_box_test", (2,)),
            )
            for person in PEOPLE
            for camera in cameras
            for shot in SHOTS
        ],
    )
    return {"kind": "mlr-cuhk03"}


def msmt(root: Path) -> dict[str, Any]:
    lists: dict[str, list[str]] = {
        f"list_{part}.txt": [] for part in ("train", "val", "query", "gallery")
    }
    for name, lines in lists.items():
        half = "test" if name in ("list_query.txt", "list_gallery.txt") else "train"
        paths = [
            f"{person:04d}/{person:04d}_{list(lists).index(name)}{shot:02d}_0{shot}_0303morning_{shot:04d}_2.jpg"
            for person in PEOPLE
            for shot in SHOTS
        ]
        write_pictures(root, [f"mask_{half}_v2/{path}" for path in paths])
        lines += [f"{path} {path[:4]}" for path in paths]
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines))
    return {"kind": "msmt17"}


MINIATURES: dict[str, tuple[Callable[[Path], dict[str, Any]], ...]] = {
    "joint": (sysu, ltcc, mlr),
    "sysu-mm01": (sysu,),
    "ltcc": (ltcc,),
    "mlr-cuhk03": (mlr,),
    "market1501": (market,),
    "msmt17": (msmt,),
}


def corpus_of(makers: Iterable[Callable[[Path], dict[str, Any]]], folder: Path) -> Corpus:
    sources = []
    for make in makers:
        root = folder / make.__name__
        sources.append({**make(root), "path": str(root)})
    return ingested(ingest_config(sources=sources), folder / "corpus")


def task_of(config: RunConfig, corpus: Corpus, folder: Path) -> TrainTask:
    """Of a first round whose labels are the people: clusters of noise would be none."""
    persons = corpus.identities()["person"].to_numpy()
    labels = []
    for block in map(Block._make, corpus.groups("train")):
        ids = train_ids(corpus, *block)
        of = np.unique(persons[ids], return_inverse=True)[1].astype(np.int64)
        place = Place.at(folder / block.file_name)
        ones = np.ones(len(ids), np.float32)
        table = label_table(block, ids, of, ones.astype(bool), ones)
        (place / "labels.parquet").write_table(table)
        (place / "centroids.npy").write_array(unit_noise(of.max() + 1, 64))
        labels.append(place)
    return TrainTask(
        corpus_root=corpus.root,
        config=config,
        scenarios=corpus.scenarios,
        number=1,
        labels=tuple(labels),
        out=Place.at(folder),
        telemetry=Telemetry(),
        source=EncoderSource(config.model, corpus.scenarios, seed=0),
        previous=None,
    )


@pytest.mark.parametrize("recipe", MINIATURES)
def test_two_steps_on_a_miniature(recipe: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ITKM_CACHE", str(tmp_path / "cache"))
    config = load_config(recipe, [*TINY, *SMALL])
    assert load_config(recipe).model.image_size == (256, 128)
    whole = corpus_of(MINIATURES[recipe], tmp_path)
    config.check_names(whole.groups("train"))
    corpus = narrow(whole, config.only)
    blocks = [Block(*block).name for block in corpus.groups("train")]
    assert set(load_config(recipe).colour_free) & set(blocks) == {
        name for name in blocks if name == "sysu-mm01/1"
    }
    task = task_of(config, corpus, tmp_path / "labels")
    tables = [read_labels(place) for place in task.labels]
    stage, info = build_stage(task, tables, "cpu")
    loader = batch_loader(task, tables, info)
    indices = group_indices(tables, task.scenarios)
    before = {name: value.clone() for name, value in stage.encoder.state_dict().items()}
    for step in range(2):
        plan = plan_step(
            indices,
            clusters_per_group=config.homogeneous.clusters_per_group,
            images_per_cluster=config.homogeneous.images_per_cluster,
            seed=config.seed,
            round=1,
            step=step,
        )
        result = stage.step(loader.load(plan), plan)
        assert np.isfinite(result.loss)
        assert len(result.block_losses) == len(blocks)
    moved = {
        name
        for name, value in stage.encoder.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert "proj" in moved
    patches = {name for name in before if name.startswith("patch_embeddings")}
    assert bool(moved & patches) != config.model.freeze_patches


def test_every_recipe_for_photographs_has_its_miniature() -> None:
    assert set(MINIATURES) == set(recipe_names()) - {"tiny"}


def test_collections_of_one_kind_are_scenarios_of_their_own(tmp_path: Path) -> None:
    corpus = corpus_of((market, msmt, mlr), tmp_path)
    names = ("market1501", "mlr-cuhk03", "msmt17")
    assert corpus.scenarios == names
    assert {name: each["protocol"] for name, each in corpus.collections().items()} == dict(
        zip(names, ("market1501", "mlr", "market1501"), strict=True)
    )
    assert corpus.groups() == [
        ("market1501", 0),
        ("mlr-cuhk03", 0),
        ("mlr-cuhk03", 1),
        ("msmt17", 0),
    ]
    assert narrow(corpus, load_config("msmt17").only).groups() == [("msmt17", 0)]
    assert narrow(corpus, load_config("joint").only).scenarios == names
