"""Made-up video on disk, with a tracker's file, as `itkm ingest --as tracks` takes it. [ours]

{scenario}-{group}-c{camera}.mp4            the video; of test people, all four names end in -test
{scenario}-{group}-c{camera}.txt            the tracker's boxes: MOTChallenge text
{scenario}-{group}-c{camera}.persons.csv    frame,id,person: who is in each of them
{scenario}-{group}-c{camera}.truth.txt      all boxes, with the people as ids: MOTChallenge ground truth
cameras.yaml   which files are whose
synth.json     parameters and version; written last, so a folder without it is not finished
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from itkm_core.errors import StorageError
from itkm_core.storage.paths import local_folder, write_bytes
from itkm_core.synthetic.config import SCENARIOS
from itkm_core.synthetic.record import RECORD_FILE, UNFINISHED_FILE, is_finished
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.film import film
from itkm_core.synthetic.video.scene import Scene
from itkm_core.synthetic.video.tracker import Boxes, track
from itkm_core.synthetic.video.walks import Recording, draw_recordings

VIDEO_VERSION = 1
"""Raised whenever the same parameters no longer give the same frames or tracks."""

CAMERAS_FILE = "cameras.yaml"


@dataclass(frozen=True)
class WrittenVideo:
    """What `write_video` made."""

    root: Path
    cameras: Path
    """The list of cameras."""
    num_videos: int
    num_frames: int
    reused: bool
    """The folder was complete already and nothing was drawn."""


def write_video(
    config: VideoConfig,
    out_dir: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenVideo:
    """Film made-up people into a folder, or find the films there.

    Args:
        config: the videos; the same parameters give the same frames and tracks.
        out_dir: a local folder; made if absent. What an interrupted call left is drawn again.
        progress: called with (frames done, frames in all), now and then and at the end.

    Returns:
        Where the list of cameras is, and how much there is.

    Raises:
        ConfigError: PyAV is not installed.
        CorpusError: the folder holds videos with other parameters, or anything else.
        StorageError: the folder cannot be written, or is not on this machine.
    """
    root = local_folder(out_dir)
    parameters = {"video": True, **config.model_dump(mode="json")}
    record = {"version": VIDEO_VERSION, "parameters": parameters}
    cast = [
        (scenario, group, place, recording)
        for scenario in config.scenarios
        for group in (0, 1)
        for test in (False, True)[: 1 + (config.people_test > 0)]
        for place, recording in enumerate(draw_recordings(config, scenario, group, test=test))
    ]
    total = sum(recording.num_frames for *_, recording in cast)
    done = 0

    def report(frames: int) -> None:
        nonlocal done
        done += frames
        if progress and (done % 20 == 0 or done == total):
            progress(done, total)

    try:
        reused = is_finished(root, record, CAMERAS_FILE)
        if reused:
            report(total)
        else:
            write_bytes(root / UNFINISHED_FILE, json.dumps(record, indent=2).encode())
            cameras = [_write_camera(config, root, *each, report) for each in cast]
            text = yaml.safe_dump({"cameras": cameras}, sort_keys=False)
            write_bytes(root / CAMERAS_FILE, text.encode())
            os.replace(root / UNFINISHED_FILE, root / RECORD_FILE)
    except OSError as error:
        raise StorageError(
            f"cannot write made-up video to {root}: {error}; choose a folder that can be written"
        ) from error
    return WrittenVideo(root, root / CAMERAS_FILE, len(cast), total, reused)


def _write_camera(
    config: VideoConfig,
    root: Path,
    scenario: str,
    group: int,
    place: int,
    recording: Recording,
    report: Callable[[int], None],
) -> dict[str, Any]:
    """Write the files of one camera. Returns its entry in the list."""
    number = SCENARIOS.index(scenario)
    camera = (number * 2 + group) * config.cameras + place
    test = recording.split != "train"
    name = f"{scenario}-{group}-c{camera}{'-test' if test else ''}"
    first = number * config.world.people + 1  # the same numbers as in pictures
    boxes = _film(
        config, Scene(config, scenario, group, place), recording, root / f"{name}.mp4", report
    )
    person = boxes.person + first
    rng = config.world.generator("tracker", scenario, group, place, *([1] if test else []))
    found, ids = track(boxes, config.tracker_noise, rng)
    confidence = 0.5 + found.visible / 2
    ends = [f"{c:.2f},-1,-1,-1" for c in confidence]
    write_bytes(root / f"{name}.txt", _rows(found, ids, ends))
    pairs = sorted(zip(found.frame + 1, ids, found.person + first, strict=True))
    lines = ["frame,id,person", *(f"{f},{i},{p}" for f, i, p in pairs)]
    write_bytes(root / f"{name}.persons.csv", ("\n".join(lines) + "\n").encode())
    # MOT16's ground truth: to be counted (1), a pedestrian (1), and how much of them is visible.
    ends = [f"1,1,{share:.3f}" for share in boxes.visible]
    write_bytes(root / f"{name}.truth.txt", _rows(boxes, person, ends))
    return {
        "video": f"{name}.mp4",
        "tracks": f"{name}.txt",
        "persons": f"{name}.persons.csv",
        "camera": camera,
        "start": recording.start,
        "scenario": scenario,
        "group": group,
        "split": recording.split,
    }


def _film(
    config: VideoConfig,
    scene: Scene,
    recording: Recording,
    path: Path,
    report: Callable[[int], None],
) -> Boxes:
    """Write a camera's video. Returns everyone's box in it."""
    rows: list[tuple[int, int, int, tuple[float, ...], float]] = []
    with film(path, scene.size, config.fps) as add:
        for frame in range(recording.num_frames):
            time = frame / config.fps
            there = [
                (walk, each.person, stand)
                for walk, each in enumerate(recording.walks)
                if (stand := each.at(time)) is not None
            ]
            picture, boxes = scene.shoot(time, [(person, stand) for _, person, stand in there])
            add(picture)
            for (walk, person, _), box in zip(there, boxes, strict=True):
                if box is not None:
                    place = (box.left, box.top, box.width, box.height)
                    rows.append((frame, walk, person, place, box.visible))
            report(1)
    frames, walks, people, places, visible = zip(*rows, strict=True)
    return Boxes(
        np.array(frames), np.array(walks), np.array(people), np.array(places), np.array(visible)
    )


def _rows(boxes: Boxes, ids: NDArray[np.int64], ends: list[str]) -> bytes:
    """MOTChallenge text, sorted by frame and id: frames from 1, and pixels from 0 as trackers write them."""
    order = np.lexsort((ids, boxes.frame))
    places = [[f"{length:.2f}" for length in box] for box in boxes.box]
    lines = [",".join([str(boxes.frame[k] + 1), str(ids[k]), *places[k], ends[k]]) for k in order]
    return ("\n".join(lines) + "\n").encode()
