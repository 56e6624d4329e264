"""Tracklets and decisions for features that were made elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import unit

from itkm_core.errors import FeatureError, LinkError
from pipelines.config import make_config
from pipelines.console import Console
from pipelines.label.command import LabelRequest, label
from pipelines.label.feature_links import feature_links
from pipelines.label.input import FeatureSet, read_input

IDS = [40, 30, 20, 10, 50, 60]


def given(tmp_path: Path, **columns: object) -> FeatureSet:
    rows = unit(np.random.default_rng(0).normal(size=(6, 4)))
    path = tmp_path / "features.parquet"
    pq.write_table(pa.table({"sample_id": IDS, "feature": rows.tolist(), **columns}), path)
    return read_input(str(path), None, normalise=False)


def test_tracklets_are_columns_of_the_features(tmp_path: Path) -> None:
    known = {"tracklet": [1, 1, 2, -1, 1, 1], "camera": [0] * 6, "frame": [0, 1, 0, 0, 0, 1]}
    links = feature_links(given(tmp_path, **known), make_config({}, ["links.alone=2"]))
    assert links is not None
    assert links.unit_of.tolist() == [0, 0, 1, 2, 0, 0]
    assert links.apart.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert links.alone == 2
    # Blocks share no camera.
    groups = {"scenario": ["a"] * 6, "group": [0, 0, 0, 0, 1, 1]}
    apart = feature_links(given(tmp_path, **known, **groups), make_config({}, []))
    assert apart is not None
    assert apart.unit_of.tolist() == [0, 0, 1, 2, 3, 3]
    alone = feature_links(given(tmp_path, tracklet=[1, 1, 2, 2, -1, -1]), make_config({}, []))
    assert alone is not None
    assert (alone.unit_of.tolist(), len(alone.apart)) == ([0, 0, 1, 1, 2, 3], 0)


def test_decisions_name_sample_ids(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,b,verdict\n10,60,same\n40,30,different\n")
    config = make_config({}, [f"links.decisions={path}"])
    links = feature_links(given(tmp_path), config)
    assert links is not None
    assert links.unit_of.tolist() == [0, 1, 2, 3, 4, 3]
    assert links.apart.tolist() == [[0, 1]]
    path.write_text("a,b,verdict\n10,60,same\n60,10,different\n")
    with pytest.raises(LinkError, match=r"60 and 10 are one person by 60 = 10 \(.*line 2\)"):
        feature_links(given(tmp_path), config)
    path.write_text("a,b,verdict\n0,60,same\n")
    with pytest.raises(LinkError, match="there is no image '0'"):
        feature_links(given(tmp_path), config)


def test_nothing_known_or_wanted_is_no_links(tmp_path: Path) -> None:
    assert feature_links(given(tmp_path), make_config({}, [])) is None
    off = make_config({}, ["labels.links=off"])
    assert feature_links(given(tmp_path, tracklet=[1] * 6), off) is None


def test_columns_that_are_no_integers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="tracklet is double; expected integers"):
        given(tmp_path, tracklet=[1.0] * 6)
    with pytest.raises(FeatureError, match="1 rows have no tracklet"):
        given(tmp_path, tracklet=[1, 2, 3, 4, 5, None])


def test_tracklets_have_their_labels_beside_those_of_the_rows(tmp_path: Path) -> None:
    rows = unit(np.repeat(np.eye(4)[:3], 2, axis=0) + 0.01)
    tracks = {"tracklet": [7, 7, 5, 5, 9, 9], "frame": [3, 1, 2, 4, 1, 3]}
    path = tmp_path / "features.parquet"
    pq.write_table(pa.table({"sample_id": IDS, "feature": rows.tolist(), **tracks}), path)
    out = tmp_path / "out"
    options = ("labels.k1=4", "labels.k2=1", "links.alone=2")
    label(LabelRequest(str(out), str(path), overrides=options), Console(file=io.StringIO()))
    labels = pq.read_table(out / "pseudo_labels.parquet")["label"].to_pylist()
    found = pq.read_table(out / "tracklets.parquet").to_pylist()
    assert [row["tracklet"] for row in found] == [5, 7, 9]
    assert [row["label"] for row in found] == [labels[2], labels[0], labels[4]]
    assert len(set(labels)) == 3
    assert [(row["first_frame"], row["last_frame"]) for row in found] == [(2, 4), (1, 3), (1, 3)]
