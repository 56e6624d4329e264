"""What a corpus and decisions know, as the tasks of its blocks use it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made import unit

from itkm_core.clustering import LabelOptions
from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import REJECTED_SCHEMA, Corpus
from itkm_core.corpus.writer import ACCEPTED_SCHEMA, finish_corpus, write_shard
from itkm_core.errors import ConfigError, LinkError
from itkm_core.storage.place import Place
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.features import part_folder
from pipelines.artifacts.labels import read_labels
from pipelines.config import RunConfig, make_config
from pipelines.steps.label import GroupTask, label_group
from pipelines.steps.links import block_links, plan_links

PEOPLE, CAMERAS, FRAMES = 6, 3, 4
NUM = PEOPLE * CAMERAS * FRAMES  # of each group
OPTIONS = LabelOptions(k1=4, k2=1, eps=0.7)


def made_corpus(root: Path, *, tracked: bool = True) -> Corpus:
    """Two groups of `uvi`: every person walks through every camera, two at a time. Image i of group 1 is NUM + i."""
    person, camera, frame = (each.ravel() for each in np.indices((PEOPLE, CAMERAS, FRAMES)))
    unknown = np.full(2 * NUM, -1)
    columns = {
        "uri": [f"{row:03d}.png" for row in range(2 * NUM)],
        "scenario": ["uvi"] * (2 * NUM),
        "group": np.repeat([0, 1], NUM),
        "camera": np.tile(camera, 2),
        "tracklet": np.tile(person, 2) if tracked else unknown,
        "frame": np.tile(FRAMES * (person // 2) + frame, 2) if tracked else unknown,
        "split": ["train"] * (2 * NUM),
        "person": unknown,
        "clothes": unknown,
        "height": [1] * (2 * NUM),
        "width": [1] * (2 * NUM),
        "num_bytes": [1] * (2 * NUM),
        "digest": [image_digest(bytes([row])) for row in range(2 * NUM)],
    }
    rows = pa.table(columns, schema=ACCEPTED_SCHEMA)
    write_shard(str(root), 0, 0, rows, [bytes([row]) for row in range(2 * NUM)])
    finish_corpus(str(root), rows, [(0, 2 * NUM)], REJECTED_SCHEMA.empty_table())
    return Corpus.open(root)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return made_corpus(tmp_path_factory.mktemp("corpus"))


def asked(tmp_path: Path, rows: str) -> RunConfig:
    path = tmp_path / "decisions.csv"
    path.write_text("a,b,verdict\n" + rows)
    return make_config({}, [f"links.decisions={path}"])


def test_a_corpus_without_tracklets_has_nothing_to_know(tmp_path: Path, corpus: Corpus) -> None:
    plain = made_corpus(tmp_path, tracked=False)
    assert not plain.has_tracklets
    assert plan_links(RunConfig(), plain) is None
    assert corpus.has_tracklets
    assert plan_links(RunConfig(), corpus) is not None
    assert plan_links(make_config({}, ["labels.links=off"]), corpus) is None
    auto = make_config({}, ["labels.k1=auto"])
    assert plan_links(auto, corpus) is not None
    with pytest.raises(ConfigError, match=rf"by tracklets, and {re.escape(plain.root)} has none"):
        plan_links(auto, plain)
    with pytest.raises(ConfigError, match=r"labels\.links is off"):
        plan_links(make_config({}, ["labels.k1=auto", "labels.links=off"]), corpus)


@pytest.mark.parametrize("group", [0, 1])
def test_tracklets_of_a_block_are_units(corpus: Corpus, group: int) -> None:
    plan = plan_links(make_config({}, ["links.alone=7"]), corpus)
    assert plan is not None
    links = block_links(corpus, plan, group * NUM + np.arange(NUM))
    assert links.unit_of.tolist() == np.repeat(np.arange(PEOPLE * CAMERAS), FRAMES).tolist()
    pairs = [[c + 3 * p, c + 3 * (p + 1)] for p in (0, 2, 4) for c in range(CAMERAS)]
    assert links.apart.tolist() == sorted(pairs)
    assert links.alone == 7


def test_decisions_hold_across_blocks(tmp_path: Path, corpus: Corpus) -> None:
    # Person 0 at camera 0 is person 0 at camera 1, by way of an image of the other group.
    config = asked(tmp_path, f"0,{NUM},same\nuvi:{NUM:03d}.png,uvi:004.png,same\n0,60,different\n")
    plan = plan_links(config, corpus)
    assert plan is not None
    links = block_links(corpus, plan, np.arange(NUM))
    assert links.unit_of[0] == links.unit_of[4] == 0
    assert links.num_units == PEOPLE * CAMERAS - 1
    assert [0, links.unit_of[60]] in links.apart.tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,9999,same\n", "line 2: there is no image '9999'"),
        ("0,uvi:x.png,same\n", "line 2: there is no image 'uvi:x.png'"),
        (
            "0,1,different\n",
            r"uvi:000.png = uvi:001.png \(tracklet 0 of camera 0\), but .*line 2 says",
        ),
        (
            "0,12,same\n",
            r"uvi:000.png = uvi:012.png \(.*, line 2\), but both are in frame 0 of camera 0",
        ),
    ],
)
def test_decisions_are_refused_before_any_task(
    tmp_path: Path, corpus: Corpus, rows: str, message: str
) -> None:
    with pytest.raises(LinkError, match=message):
        plan_links(asked(tmp_path, rows), corpus)


def test_a_runs_identity_has_what_decisions_say_and_not_where(tmp_path: Path) -> None:
    plain = RunConfig().identity()
    assert "links" not in plain
    assert "links" not in plain["labels"]
    one = asked(tmp_path, "0,1,same\n").identity()
    (tmp_path / "b").mkdir()
    assert asked(tmp_path / "b", "0,1,same\n").identity() == one
    assert asked(tmp_path, "0,1,different\n").identity() != one
    assert make_config({}, ["labels.links=off"]).identity()["labels"]["links"] == "off"
    with pytest.raises(LinkError, match="there is no file"):
        make_config({}, ["links.decisions=none.csv"]).identity()


def test_a_block_is_labelled_by_its_units(tmp_path: Path, corpus: Corpus) -> None:
    person, camera, _ = (each.ravel() for each in np.indices((PEOPLE, CAMERAS, FRAMES)))
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(PEOPLE, 16))[person] + 0.4 * rng.normal(size=(CAMERAS, 16))[camera]
    features = unit(vectors + 0.3 * rng.normal(size=(NUM, 16)))
    base = Place.at(tmp_path)
    block = Block("uvi", 0)
    column = pa.FixedSizeListArray.from_arrays(features.ravel(), 16)
    (base / "features" / part_folder(block, "train") / "from-0.parquet").write_table(
        pa.table({"sample_id": np.arange(NUM), "feature": column})
    )
    plan = plan_links(RunConfig(), corpus)
    task = GroupTask(corpus.root, block, base / "features", base / "out", None, OPTIONS, links=plan)
    _, facts = label_group(task)
    labels = read_labels(task.out)["label"].to_numpy()
    assert (labels.reshape(-1, FRAMES) == labels[::FRAMES, None]).all()
    assert facts["num_units"] == PEOPLE * CAMERAS
    assert facts["num_apart"] == 9
    assert 0 <= facts["merge_errors"] <= 1
    assert 0 <= facts["split_errors"] <= 1
    _, off = label_group(replace(task, links=None, out=base / "off"))
    assert "num_units" not in off
