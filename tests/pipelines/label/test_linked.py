"""Blocks with tracklets: their labels, what the index keeps of them, labels against it, and what is printed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from made import unit

from itkm_core.clustering import LabelOptions
from itkm_core.links import Links, tracker_links
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.config_labels import LabelConfig
from pipelines.console import Console
from pipelines.label.against import Against
from pipelines.label.group import Images, label_images, sweep_images
from pipelines.label.index import FOLDER, Index, read_group, read_index
from pipelines.label.tables import labels_table, print_sweep

OPTIONS = LabelOptions(k1=4, k2=1, eps=0.7)
FRAMES, BLOCK = 5, Block("uvi", 0)


def walked(seed: int, people: list[int], first_id: int = 0) -> Images:
    """A tracklet of each of these people, two of them in the camera at a time."""
    num = len(people) * FRAMES
    vectors = np.random.default_rng(0).normal(size=(30, 16))[np.repeat(people, FRAMES)]
    rows = unit(vectors + 0.3 * np.random.default_rng(seed).normal(size=vectors.shape))
    tracklet = np.repeat(np.arange(len(people)), FRAMES)
    frame = FRAMES * (tracklet // 2) + np.tile(np.arange(FRAMES), len(people))
    links = tracker_links(np.zeros(num), tracklet, frame)
    return Images(BLOCK, np.arange(num), rows, None, first_id, links)


PEOPLE = [0, 1, 0, 2, 3, 1, 2, 0, 3, 4, 1, 4]


@pytest.fixture
def index(tmp_path: Path) -> Place:
    """The index of PEOPLE in the folder of a call."""
    found = label_images(walked(1, PEOPLE), OPTIONS)
    place = Place.at(tmp_path / "first")
    record = found.write_index(place / FOLDER)
    Index(place / FOLDER, LabelConfig(), False, None, {BLOCK.name: record}).write()
    return place


def test_the_index_has_units_and_the_largest_id_of_their_images(index: Place) -> None:
    stored = read_index(index.uri)
    record = stored.groups[BLOCK.name]
    known, _ = read_group(stored.place, record)
    assert known.frames is not None
    assert known.frames.tolist() == [FRAMES] * len(PEOPLE)
    assert known.sample_ids.tolist() == list(range(0, 60, FRAMES))
    assert known.rows.shape == (len(PEOPLE), 16)
    assert (record.largest_id, stored.next_id) == (59, 60)
    names = list(dict.fromkeys(PEOPLE))
    assert known.labels.tolist() == [names.index(person) for person in PEOPLE]


def test_new_tracklets_are_labelled_against_units(index: Place, tmp_path: Path) -> None:
    against = Against(index.uri, read_index(index.uri))
    images = walked(2, [3, 20, 0], first_id=60)
    found = label_images(images, OPTIONS, against)
    assert found.table["label"].to_pylist() == [3] * 5 + [5] * 5 + [0] * 5
    assert (found.facts["known"], found.facts["joined"], found.facts["new_clusters"]) == (60, 10, 1)
    assert found.largest_id == 74
    record = found.write_index(Place.at(tmp_path / "second"))
    assert record.num_images == len(PEOPLE) + 3
    # Images that nothing is known of are units of one image.
    alone = Images(BLOCK, np.arange(3), walked(1, PEOPLE).features[46:49], None, 60)
    assert label_images(alone, OPTIONS, against).table["label"].to_pylist() == [4] * 3


def test_the_tables_show_errors_where_tracklets_tell_them() -> None:
    found = label_images(walked(1, PEOPLE), OPTIONS)
    assert found.facts["merge_errors"] == found.parameters["merge_errors"]
    console = Console(file=io.StringIO(), width=80)
    console.print(labels_table([found.facts]))
    record, notes = sweep_images(
        walked(1, PEOPLE),
        LabelOptions(k1=8, k2=2, k1_candidates=(4, 8), eps="auto", eps_candidates=(0.3, 0.7)),
    )
    assert not notes
    print_sweep(console, record, BLOCK.name)
    shown = console.file.getvalue()
    assert shown.count("merge %") == shown.count("split %") == 2
    assert "AMI next" not in shown
    assert "by tracklets, the lowest sum" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_without_links_the_tables_are_what_they_were() -> None:
    images = walked(1, PEOPLE)
    plain = Images(BLOCK, images.ids, images.features)
    nothing = Images(
        BLOCK,
        images.ids,
        images.features,
        links=Links(np.arange(60), np.zeros((0, 2), np.int64)),
    )
    one, other = (label_images(each, OPTIONS) for each in (plain, nothing))
    assert one.table.equals(other.table)
    assert one.parameters == other.parameters
    assert one.facts == other.facts
    assert other.known.frames is None
    console = Console(file=io.StringIO(), width=80)
    console.print(labels_table([one.facts]))
    assert "merge" not in console.file.getvalue()
