from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.errors import ConfigError
from pipelines.ingest.command import request
from pipelines.ingest.config import IngestConfig, ingest_config, load_ingest_config


def one(**source) -> IngestConfig:
    return ingest_config(sources=[{"kind": "folder", "path": "x", **source}])


def test_options_and_a_file_ask_for_the_same(tmp_path: Path) -> None:
    file = tmp_path / "corpus.yaml"
    file.write_text("sources: [{kind: market1501, path: /m, scenario: day}]\nmax_pixels: 9\n")
    unset = {"pattern": None, "manifest": None}
    typed = request(
        None,
        "market1501",
        "/m",
        group_by={"by": None},
        crops={"every": None},
        limits={"max_pixels": 9, "max_bytes": None},
        scenario="day",
        **unset,
    )
    assert (
        typed
        == load_ingest_config(file)
        == request(file, None, None, group_by={}, crops={}, limits={})
    )
    assert (typed.limits.max_pixels, typed.limits.max_bytes) == (9, one().limits.max_bytes)
    with pytest.raises(ConfigError, match="--config describes all sources"):
        request(file, None, None, group_by={}, crops={}, limits={"max_pixels": 9})
    with pytest.raises(ConfigError, match="--config describes all sources"):
        request(file, None, None, group_by={}, crops={"every": 5}, limits={})
    for kind, path in (("folder", None), (None, "/m")):
        with pytest.raises(ConfigError, match="nothing to ingest"):
            request(None, kind, path, group_by={}, crops={}, limits={})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "zip"}, "sources.0.kind: expected folder, tracks, synthetic, "),
        ({"colour": 1}, "sources.0.colour: Extra inputs are not permitted"),
        ({"group_by": {"by": "camera"}}, "by: camera needs cameras"),
        ({"group_by": {"by": "resolution"}}, "by: resolution needs below"),
        ({"group_by": {"by": "camera", "cameras": [1], "below": 5}}, "does not use below"),
        ({"group_by": {"by": "column", "cameras": [1]}}, "does not use cameras"),
        ({"group_by": {"by": "column"}, "pattern": "{name}"}, "needs {group} in the pattern"),
        ({"group_by": {"by": "column", "column": "modality"}}, "needs {group} in the pattern"),
        ({"pattern": "{name}", "manifest": "m.csv"}, "a pattern or a manifest, not both"),
        ({"kind": "market1501", "pattern": "{name}"}, "pattern applies to kind folder only"),
        ({"kind": "synthetic", "scenario": "s"}, "leave out scenario"),
        (
            {"group_names": {"infrared": 2}},
            "sources.0.group_names.infrared: Input should be 0 or 1",
        ),
        ({"pattern": "{scene}/{name}"}, "{scene} is unknown"),
        ({"tracks": "t.txt"}, "apply to kind tracks only"),
        ({"crops": {"every": 5}}, "apply to kind tracks only"),
        ({"kind": "tracks"}, "expected tracks, the tracker's file of this video, or a YAML file"),
        ({"kind": "tracks", "path": "a.yaml", "tracks": "t.txt"}, "leave out tracks"),
        ({"kind": "tracks", "tracks": "t", "depth": 12}, "depth does not apply to crops"),
        ({"kind": "tracks", "tracks": "t", "pattern": "{name}"}, "pattern applies to kind folder"),
        (
            {"kind": "tracks", "tracks": "t", "group_by": {"by": "resolution", "below": 9}},
            "groups of videos are decided by camera",
        ),
        (
            {"kind": "tracks", "tracks": "t", "crops": {"every": 2, "per_tracklet": 9}},
            "sources.0.crops: expected every or per_tracklet, not both",
        ),
        ({"kind": "tracks", "tracks": "t", "crops": {"quality": 0}}, "sources.0.crops.quality"),
    ],
)
def test_a_mistake_is_one_clear_line(source: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        one(**source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "cameras"),
    [
        (["3", " 6"], (3, 6)),
        ([3, 6.0], (3, 6)),
        (["cam3", " yard "], ("cam3", "yard")),
        (["03", "3.0", "-1"], ("03", "3.0", -1)),
        (["9" * 30], ("9" * 30,)),
    ],
)
def test_cameras_are_numbers_or_names(given, cameras) -> None:
    made = one(group_by={"by": "camera", "cameras": given})
    assert made.sources[0].group_by.cameras == cameras
    assert made.identity()["sources"][0]["group_by"]["cameras"] == list(cameras)


@pytest.mark.parametrize("given", [[True], ["3", ""], [" "], [None], [[3]], [0.5]])
def test_what_is_no_camera(given) -> None:
    with pytest.raises(ConfigError, match=r"group_by\.cameras"):
        one(group_by={"by": "camera", "cameras": given})


@pytest.mark.parametrize("depth", [7, 17, "12 bits", 12.5, True])
def test_a_depth_that_is_none(depth) -> None:
    with pytest.raises(ConfigError, match=r"sources\.0\.depth"):
        one(depth=depth)


def test_a_depth_is_part_of_a_corpus_identity_and_its_absence_is_not() -> None:
    assert "depth" not in one().identity()["sources"][0]
    assert one(depth=12).identity()["sources"][0]["depth"] == 12
    assert one(depth="auto").identity()["sources"][0]["depth"] == "auto"


def test_a_group_column_needs_a_manifest() -> None:
    assert one(manifest="m.csv", group_by={"by": "column", "column": "modality"})
    assert one(path="m.parquet", group_by={"by": "column", "column": "modality"})
    assert one(path="M.CSV", group_by={"by": "column", "column": "modality"})
    assert one(group_by={"by": "column"})


def test_places_and_tolerance_are_not_part_of_a_corpus_identity() -> None:
    here, there = one(), one(path="/elsewhere")
    assert here.identity() == there.identity()
    looser = here.model_copy(update={"max_rejected_fraction": 0.5})
    assert looser.identity() == here.identity()
    assert here.model_copy(update={"shard_bytes": 5}).identity() != here.identity()
    assert one(scenario="a").identity() != here.identity()


def test_a_file_holds_several_sources_relative_to_itself(tmp_path: Path) -> None:
    file = tmp_path / "corpus.yaml"
    file.write_text(
        """
sources:
  - {kind: market1501, path: market, group_by: {by: camera, cameras: [6]}}
  - {kind: folder, path: /abs/own, manifest: own.csv, scenario: own}
  - {kind: folder, path: "s3://bucket/own2", scenario: own2}
max_rejected_fraction: 0.05
"""
    )
    config = load_ingest_config(file)
    paths = [source.path for source in config.sources]
    assert paths == [str(tmp_path / "market"), "/abs/own", "s3://bucket/own2"]
    assert config.sources[1].manifest == str(tmp_path / "own.csv")
    assert config.sources[0].group_by.cameras == (6,)
    assert config.max_rejected_fraction == 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sources: [", "cannot read the ingest config"),
        ("- a", "expected the key `sources:`"),
        ("", "expected the key `sources:`"),
        ("sources: true", "sources: Input should be a valid tuple"),
        ("sources: {a: 1}", "sources: Input should be a valid tuple"),
        ("sources: []", "sources: Tuple should have at least 1 item"),
        ("source: []", "source: Extra inputs are not permitted"),
        ("sources: [folder]", "sources.0: Input should be a valid dictionary"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "corpus.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_ingest_config(file)
    assert message in str(caught.value)
    with pytest.raises(ConfigError, match="no ingest config at"):
        load_ingest_config(tmp_path / "none.yaml")


def test_crops_are_part_of_what_a_corpus_is_and_paths_are_not() -> None:
    def asked(tracks: str, **crops) -> IngestConfig:
        source = {"kind": "tracks", "path": f"{tracks}.mp4", "tracks": tracks, "crops": crops}
        return ingest_config(sources=[source])

    assert asked("a").identity() == asked("b").identity()
    assert asked("a").identity() != asked("a", quality=90).identity()
    assert set(one().identity()["sources"][0]) & {"tracks", "crops"} == set()
    assert asked("a", every=3).sources[0].crops.options().every == 3


def test_the_command_line_asks_for_crops() -> None:
    typed = request(
        None,
        "tracks",
        "v.mp4",
        group_by={},
        crops={"every": 4, "min_height": None, "quality": 80},
        limits={},
        tracks="t.txt",
    )
    source = {
        "kind": "tracks",
        "path": "v.mp4",
        "tracks": "t.txt",
        "crops": {"every": 4, "quality": 80},
    }
    assert typed == ingest_config(sources=[source])
