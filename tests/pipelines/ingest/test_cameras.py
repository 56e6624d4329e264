from __future__ import annotations

from pathlib import Path

import pytest

from itkm_core.collections.tracks.listing import Camera
from itkm_core.errors import ConfigError
from pipelines.ingest.cameras import cameras_of


def test_cameras_of_a_file_are_relative_to_it(tmp_path: Path) -> None:
    file = tmp_path / "cams.yaml"
    file.write_text(
        "cameras:\n"
        "  - {video: a.mp4, tracks: a.txt, camera: 3, group: 1, start: 12.5, persons: p.csv}\n"
        "  - {video: /v/b, tracks: s3://bucket/b.csv, camera: yard 2, scenario: night, split: query}\n"
    )
    assert cameras_of(str(file), None, "day") == [
        Camera(f"{tmp_path}/a.mp4", f"{tmp_path}/a.txt", "3", "day", 1, 12.5, f"{tmp_path}/p.csv"),
        Camera("/v/b", "s3://bucket/b.csv", "yard 2", "night", split="query"),
    ]


def test_one_video_is_a_camera_of_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cameras_of("in/yard.mp4", "in/t.txt", None) == [
        Camera(f"{tmp_path}/in/yard.mp4", f"{tmp_path}/in/t.txt", "yard")
    ]
    assert cameras_of("MOT17-02/img1/", "t.txt", None)[0].name == "img1"
    with pytest.raises(ConfigError, match=r"'-a' cannot be one; rename it, or list it"):
        cameras_of("in/-a.mp4", "t.txt", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Input should be a valid dictionary"),
        ("cameras: []", "cameras: Tuple should have at least 1 item"),
        ("cameras: [{video: a, tracks: b}]", "cameras.0.camera: Field required"),
        ("cameras: [{video: a, tracks: b, camera: yes}]", "put a camera's name in quotes"),
        ("cameras: [{video: a, tracks: b, camera: a/b}]", "cameras.0.camera: a camera's name is part of"),
        ("cameras: [{video: a, tracks: b, camera: 1, group: 2}]", "cameras.0.group: Input should be 0 or 1"),
        ("cameras: [{video: a, tracks: b, camera: 1, start: .nan}]", "cameras.0.start"),
        ("cameras: [{video: a, tracks: b, camera: 1, fps: 9}]", "cameras.0.fps: Extra inputs"),
        ("cameras: {", "cannot read the cameras in"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        cameras_of(str(tmp_path / "c.yaml"), None, None)
    assert message in str(caught.value)
    assert text.startswith("cameras: []") or "at least 1 item" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the cameras in .*c\.yaml"):
        cameras_of(str(tmp_path / "c.yaml"), None, None)
