"""What `itkm synth` makes of its options, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from itkm_core.errors import ConfigError
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.write import WrittenVideo
from pipelines.synth import command
from pipelines.synth.command import draw

NONE = dict.fromkeys(("people", "test_people", "images", "height", "tracker_noise"))


def drawn(out: Path, video: bool, **given: Any) -> tuple[str, dict[str, Any]]:
    line = draw(str(out), video, {**NONE, "seed": 3, **given}, lambda done, all: None)
    return line, json.loads((out / "synth.json").read_text())["parameters"]


def test_pictures_have_their_own_defaults(tmp_path: Path) -> None:
    line, parameters = drawn(tmp_path / "a", False, people=3, images=1)
    assert line == f"30 pictures in {tmp_path / 'a'}"
    assert [parameters[name] for name in ("people_train", "people_test")] == [3, 2]
    assert [parameters[name] for name in ("height", "width", "seed")] == [64, 32, 3]
    again, _ = drawn(tmp_path / "a", False, people=3, images=1)
    assert again == f"30 pictures (reused) in {tmp_path / 'a'}"
    _, parameters = drawn(tmp_path / "b", False, people=1, test_people=0, images=2, height=80)
    assert [parameters[n] for n in ("people_test", "images", "height", "width")] == [0, 2, 80, 40]


def test_video_says_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[VideoConfig] = []

    def film(config: VideoConfig, out: str, *, progress: Any) -> WrittenVideo:
        asked.append(config)
        return WrittenVideo(Path(out), Path(out) / "cameras.yaml", 4, 2700, reused=False)

    monkeypatch.setattr(command, "write_video", film)
    given = {"people": 2, "height": 72, "tracker_noise": 0.5, "seed": 3}
    line = draw("v", True, {**NONE, **given}, lambda done, all: None)
    assert line == ("4 videos, 2,700 frames in v: itkm ingest --as tracks v/cameras.yaml --out ...")
    draw("v", True, {**NONE, "seed": 0}, lambda done, all: None)
    draw("v", True, {**NONE, "seed": 0, "test_people": 0}, lambda done, all: None)
    assert asked == [
        VideoConfig(**given, people_test=1),
        VideoConfig(),
        VideoConfig(people_test=0),
    ]


@pytest.mark.parametrize(
    ("video", "given", "message"),
    [
        (False, {"tracker_noise": 0.1}, "--tracker-noise is for --video: leave"),
        (True, {"images": 4}, "--images is for pictures, not for --video: leave"),
        (True, {"overlap": 0.5}, "--overlap is for pictures, not for --video: leave"),
        (True, {"height": 40}, "height is 40: Input should be greater than or equal to 72"),
        (False, {"height": 4000}, "height is 4000: Input should be less than or equal to 1024"),
        (True, {"seed": 2**63}, "seed is 9223372036854775808: "),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    tmp_path: Path, video: bool, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        drawn(tmp_path / "out", video, **given)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
