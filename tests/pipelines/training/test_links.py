"""What Stage III is given of a round's matches, block by block."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from match_problem import SCENARIO, Made

from itkm_core.learning.heterogeneous import Links
from pipelines.artifacts.labels import read_labels
from pipelines.artifacts.matches import read_clusters, read_instances
from pipelines.artifacts.texts import read_texts
from pipelines.config import RunConfig, load_config
from pipelines.steps.encoders import EncoderSource
from pipelines.steps.match import match_scenario
from pipelines.telemetry.handle import Telemetry
from pipelines.training.links import links_of
from pipelines.training.round_worker import text_files
from pipelines.training.tasks import TrainTask


def plain(made: Made) -> pa.Table:
    """Labels of a scenario that has one group and no match step."""
    return pa.table(
        {
            "sample_id": np.arange(5000, 5004),
            "label": [0, 0, 1, 1],
            "scenario": ["alone"] * 4,
            "group": np.zeros(4, np.int8),
        }
    )


def task_of(made: Made, config: RunConfig, **more: object) -> TrainTask:
    return TrainTask(
        config=config,
        scenarios=("alone", SCENARIO),
        number=3,
        labels=(),
        out=made.base / "train",
        telemetry=Telemetry(),
        corpus_root="",
        source=EncoderSource(config.model, ("alone", SCENARIO), 0),
        previous=None,
        heterogeneous=True,
        features=made.base / "features",
        matches={SCENARIO: made.base / "match"},
        prompts=made.base / "prompts",
    )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def tables_of(made: Made) -> list[pa.Table]:
    return [read_labels(made.base / f"label-{group}") for group in (0, 1)]


def given(links: Links) -> set[str]:
    """The parts that are on."""
    return {part.name for part in fields(links) if getattr(links, part.name) is not None}


def test_every_part_is_of_its_block_and_leads_to_the_opposite_one(made: Made) -> None:
    match_scenario(made.task())
    links = links_of(task_of(made, load_config("tiny")), tables_of(made))
    assert given(links) == {"texts", "clusters", "instances", "banks"}
    matches, positives = read_clusters(made.base / "match"), read_instances(made.base / "match")
    assert matches is not None
    assert positives is not None
    for block in (0, 1):
        texts = read_texts(made.base / "match", str(block))
        np.testing.assert_array_equal(links.texts[block].numpy(), texts.clusters)
        assert links.clusters[block].opposite == links.instances[block].opposite == 1 - block
        for found, expected in (
            (links.clusters[block], matches.targets(block)),
            (links.instances[block], positives.positives(block)),
        ):
            np.testing.assert_array_equal(found.rows.indptr, expected.indptr)
            np.testing.assert_array_equal(found.rows.indices, expected.indices)
        bank = links.banks[block]
        np.testing.assert_array_equal(bank.features.numpy(), made.features[block])
        np.testing.assert_array_equal(bank.rows(made.ids[block][::-1])[::-1], range(len(bank)))


def test_blocks_before_a_scenario_shift_its_numbers_and_a_single_group_has_none(made: Made) -> None:
    match_scenario(made.task(texts=None, rho=None))
    config = load_config("tiny", ["components.text_guidance=false"])
    links = links_of(task_of(made, config), [plain(made), *tables_of(made)])
    assert given(links) == {"clusters", "instances", "banks"}
    assert all(getattr(links, name)[0] is None for name in given(links))
    assert [links.clusters[block].opposite for block in (1, 2)] == [2, 1]


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ("components.chm=false", {"clusters"}),
        ("heterogeneous.ihm_weight=0", {"instances", "banks"}),
        ("components.text_guidance=false", {"texts"}),
    ],
)
def test_a_part_that_is_off_is_not_given(made: Made, off: str, gone: set[str]) -> None:
    match_scenario(made.task())
    links = links_of(task_of(made, load_config("tiny", [off])), tables_of(made))
    assert given(links) == {"texts", "clusters", "instances", "banks"} - gone


def test_the_rounds_checkpoint_carries_texts_and_prompts(made: Made) -> None:
    from safetensors.numpy import load

    match_scenario(made.task())
    (made.base / "prompts" / "tokens.safetensors").write_bytes(b"tokens")
    files = text_files(task_of(made, load_config("tiny")), tables_of(made))
    assert files["prompts.safetensors"] == b"tokens"
    arrays = load(files["text.safetensors"])
    assert set(arrays) == {
        f"{SCENARIO}/{group}/{what}" for group in (0, 1) for what in ("cluster", "instance")
    }
    np.testing.assert_array_equal(arrays[f"{SCENARIO}/1/instance"], made.moved(1)[1])
