"""Films on disk: what is in them is what was drawn, and the files beside them agree."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from itkm_core.errors import ConfigError, CorpusError, StorageError
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.scene import Scene
from itkm_core.synthetic.video.walks import draw_recordings
from itkm_core.synthetic.video.write import CAMERAS_FILE, write_video
from itkm_core.synthetic.write import write_people

SMALL = VideoConfig(people=4, people_test=0, cameras=2, visits=1, height=72, fps=3, seed=5)


def texts(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(root.iterdir())}


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", ndmin=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("video") / "new"
    made = write_video(SMALL, root)
    assert (made.reused, made.num_videos) == (False, 4)
    return root


def test_the_list_names_every_camera_and_its_files(written: Path) -> None:
    cameras = yaml.safe_load((written / CAMERAS_FILE).read_text())["cameras"]
    assert [(c["scenario"], c["group"], c["camera"]) for c in cameras] == [
        ("uvi", 0, 0), ("uvi", 0, 1), ("uvi", 1, 2), ("uvi", 1, 3),
    ]  # fmt: skip
    named = {name for c in cameras for name in (c["video"], c["tracks"], c["persons"])}
    others = {"cameras.yaml", "synth.json", *(c["tracks"][:-4] + ".truth.txt" for c in cameras)}
    assert {path.name for path in written.iterdir()} == named | others
    for group in (0, 1):
        starts = [recording.start for recording in draw_recordings(SMALL, "uvi", group)]
        assert [c["start"] for c in cameras if c["group"] == group] == starts


def test_a_video_shows_what_was_drawn(written: Path) -> None:
    recording = draw_recordings(SMALL, "uvi", 0)[1]
    place = Scene(SMALL, "uvi", 0, 1)
    boxes: dict[tuple[int, int], tuple[float, ...]] = {}
    with av.open(written / "uvi-0-c1.mp4") as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 3
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == recording.num_frames
    for k, shown in enumerate(decoded):
        time = k / SMALL.fps
        there = [(w.person, s) for w in recording.walks if (s := w.at(time)) is not None]
        picture, found = place.shoot(time, there)
        assert np.abs(shown.astype(int) - picture).mean() < 8
        for (person, _), box in zip(there, found, strict=True):
            if box is not None:
                # Frames and people count from 1.
                place_of = (box.left, box.top, box.width, box.height, 1, 1, box.visible)
                boxes[k + 1, person + 1] = place_of
    truth = table(written / "uvi-0-c1.truth.txt")
    assert [tuple(row[:2]) for row in truth] == sorted(boxes)
    np.testing.assert_allclose(truth[:, 2:], [boxes[key] for key in sorted(boxes)], atol=0.006)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_tracker_has_the_boxes_of_who_is_seen_and_the_csv_their_people(
    written: Path, tmp_path: Path, noise: float
) -> None:
    root = written
    if noise:
        root = tmp_path / "noisy"
        write_video(SMALL.model_copy(update={"tracker_noise": noise}), root)
        assert texts(root)["uvi-0-c0.mp4"] == texts(written)["uvi-0-c0.mp4"]
        assert texts(root)["uvi-0-c0.truth.txt"] == texts(written)["uvi-0-c0.truth.txt"]
        assert texts(root)["uvi-0-c0.txt"] != texts(written)["uvi-0-c0.txt"]
    ids = people = 0
    for name in ("uvi-0-c0", "uvi-0-c1", "uvi-1-c2", "uvi-1-c3"):
        tracks, truth = table(root / f"{name}.txt"), table(root / f"{name}.truth.txt")
        assert tracks.shape[1] == 10
        seen = {(f, *box): (person, share) for f, person, *box, _, _, share in truth.tolist()}
        with open(root / f"{name}.persons.csv", newline="") as file:
            rows = [[int(v) for v in row.values()] for row in csv.DictReader(file)]
        assert [row[:2] for row in rows] == tracks[:, :2].astype(int).tolist()
        assert [row[2] for row in rows] == [
            seen[f, *box][0] for f, _, *box, _, _, _, _ in tracks.tolist()
        ]
        assert len(tracks) == sum(share >= 0.4 for _, share in seen.values())
        width, height = SMALL.width, SMALL.height
        assert (tracks[:, 2:4] >= 0).all()
        assert (tracks[:, 2] + tracks[:, 4] <= width).all()
        assert (tracks[:, 3] + tracks[:, 5] <= height).all()
        assert ((tracks[:, 6] >= 0.7) & (tracks[:, 6] <= 1)).all()
        ids += len(np.unique(tracks[:, 1]))
        people += len({tuple(row[1:]) for row in rows})
    assert ids == 16 if noise == 0 else ids > 16
    assert people == ids if noise == 0 else people >= ids


def test_test_people_are_in_videos_of_their_own(written: Path, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"people_test": 2, "fps": 2, "scenarios": ("ucc",)})
    assert write_video(config, tmp_path).num_videos == 8
    cameras = yaml.safe_load((tmp_path / CAMERAS_FILE).read_text())["cameras"]
    by_split: dict[tuple[int, str], set[int]] = {}
    for camera in cameras:
        test = camera["split"] != "train"
        assert camera["video"].endswith("-test.mp4") == test
        persons = np.loadtxt(tmp_path / camera["persons"], delimiter=",", skiprows=1)[:, 2]
        by_split[camera["camera"], camera["split"]] = set(persons.astype(int).tolist())
    # People of the second scenario, of six a scenario.
    train, tested = {7, 8, 9, 10}, {11, 12}
    assert by_split == {
        (4, "train"): train, (5, "train"): train, (6, "train"): train, (7, "train"): train,
        (4, "query"): tested, (5, "gallery"): tested, (6, "query"): tested, (7, "gallery"): tested,
    }  # fmt: skip


def test_the_same_parameters_are_reused_and_give_the_same_files(
    written: Path, tmp_path: Path
) -> None:
    calls: list[tuple[int, int]] = []
    again = write_video(SMALL, tmp_path / "again", progress=lambda *done: calls.append(done))
    assert texts(tmp_path / "again") == texts(written)
    assert calls[-1] == (again.num_frames, again.num_frames)
    assert len(calls) > 3
    before = {path: path.stat().st_mtime_ns for path in written.iterdir()}
    assert write_video(SMALL, written).reused
    assert {path: path.stat().st_mtime_ns for path in written.iterdir()} == before


def test_an_interrupted_folder_is_finished_by_the_same_parameters_only(
    written: Path, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        if done > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(SMALL, tmp_path / "a", progress=stop)
    assert not list((tmp_path / "a").glob("*.partial"))
    assert not (tmp_path / "a" / CAMERAS_FILE).exists()
    with pytest.raises(CorpusError, match="fps: there 3, wanted 4"):
        write_video(SMALL.model_copy(update={"fps": 4}), tmp_path / "a")
    write_video(SMALL, tmp_path / "a")
    assert texts(tmp_path / "a") == texts(written)


def test_pictures_and_video_do_not_mix(written: Path, tmp_path: Path) -> None:
    pictures = SyntheticConfig(people_train=1, people_test=0, images=1)
    with pytest.raises(CorpusError, match="video: there True, wanted None"):
        write_people(pictures, written)
    write_people(pictures, tmp_path / "pictures")
    with pytest.raises(CorpusError, match="video: there None, wanted True"):
        write_video(SMALL, tmp_path / "pictures")


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"pip install 'itkm\[video\]'"):
        write_video(SMALL, tmp_path / "new")


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_video(SMALL, tmp_path / "file" / "below")
