"""From a corpus and its labels to what batches are planned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from tracked_corpus import label_rows, write_corpus

from itkm_core.corpus.sampling import plan_step
from itkm_core.corpus.schema import Corpus
from itkm_core.storage.place import Place
from pipelines.config import make_config
from pipelines.steps.encoders import EncoderSource
from pipelines.telemetry.handle import Telemetry
from pipelines.training.tasks import TrainTask
from pipelines.training.worker import group_indices, tracks_of


def task(corpus: Corpus, *overrides: str) -> TrainTask:
    config = make_config({}, list(overrides))
    values = {"scenarios": ("uvi",), "number": 1, "labels": (), "out": Place.at(corpus.root)}
    source = EncoderSource(config.model, ("uvi",), seed=0)
    more = {"telemetry": Telemetry(), "source": source, "previous": None}
    return TrainTask(config=config, corpus_root=corpus.root, **values, **more)


def test_without_tracklets_or_with_links_off_there_are_no_tracks(tmp_path: Path) -> None:
    where = {"camera": [0, 1, 2], "frame": [5, 6, 7]}
    plain = write_corpus(tmp_path / "plain", **where)
    tracked = write_corpus(tmp_path / "tracked", **where, tracklet=[-1, 4, 4])
    assert tracks_of(task(plain)) is None
    assert tracks_of(task(tracked, "labels.links=off")) is None
    tracks = tracks_of(task(tracked))
    assert tracks is not None
    assert [a.tolist() for a in vars(tracks).values()] == [[0, 1, 2], [-1, 4, 4], [5, 6, 7]]


def test_the_tracks_of_a_corpus_reach_the_batches_of_every_block(tmp_path: Path) -> None:
    num = 120
    row = np.arange(num)
    columns = {"group": row % 2, "camera": row // 2 % 3, "tracklet": row // 30, "frame": row}
    corpus = write_corpus(tmp_path, **columns)
    labels = label_rows(corpus, row % 4 // 2, np.ones(num))
    tables = [labels.filter(pc.equal(labels["group"], group)) for group in (0, 1)]
    tracks = tracks_of(task(corpus))
    indices = group_indices(tables, ("ucc", "uvi"), tracks)
    assert [(index.scenario, index.group) for index in indices] == [(1, 0), (1, 1)]
    for step in range(5):
        options = {"clusters_per_group": 2, "images_per_cluster": 6, "seed": 0, "round": 1}
        plan = plan_step(indices, **options, step=step)
        assert (plan.sample_ids % 2 == plan.groups).all()
        for block, cluster in np.ndindex(2, 2):
            mine = plan.sample_ids[(plan.block == block) & (plan.labels == cluster)]
            cameras, tracklets = columns["camera"][mine], columns["tracklet"][mine]
            assert np.bincount(cameras).tolist() == [2, 2, 2]
            assert len(set(zip(cameras.tolist(), tracklets.tolist(), strict=True))) == 6
    plain = group_indices(tables, ("ucc", "uvi"))
    assert all(index.spread is None for index in plain)
