"""From a corpus and its labels to what batches are planned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from tracked_corpus import label_rows, write_corpus

from itkm_core.corpus.sampling import plan_step
from pipelines.training.worker import group_indices, tracks_of


def test_a_corpus_without_tracklets_has_no_tracks(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, camera=[0, 1, 2], frame=[5, 6, 7])
    assert tracks_of(corpus.root) is None


def test_the_tracks_of_a_corpus_reach_the_batches_of_every_block(tmp_path: Path) -> None:
    num = 120
    row = np.arange(num)
    columns = {"group": row % 2, "camera": row // 2 % 3, "tracklet": row // 30, "frame": row}
    corpus = write_corpus(tmp_path, **columns)
    labels = label_rows(corpus, row % 4 // 2, np.ones(num))
    tables = [labels.filter(pc.equal(labels["group"], group)) for group in (0, 1)]
    tracks = tracks_of(corpus.root)
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
