"""Videos and what a tracker saw in them, as a listing of crops that are yet to be cut."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from itkm_core.collections.files import SetAside
from itkm_core.collections.listing import DEFAULT_SCENARIO, Listing
from itkm_core.collections.numbering import number_names
from itkm_core.collections.tracks.boxes import Boxes, read_boxes
from itkm_core.collections.tracks.choose import at_most, every_nth
from itkm_core.collections.tracks.crops import pixel_boxes
from itkm_core.collections.tracks.frames import Frames
from itkm_core.collections.tracks.persons import read_persons
from itkm_core.collections.tracks.pictures import folder_frames
from itkm_core.collections.tracks.tracklets import Tracklets, split_ids
from itkm_core.collections.tracks.video import video_frames
from itkm_core.corpus.digest import image_digest
from itkm_core.corpus.schema import LISTING_SCHEMA, TRACKS_SCHEMA, UNKNOWN
from itkm_core.errors import CorpusError
from itkm_core.storage.paths import read_bytes, resolve

_VIDEOS_AT_ONCE = 8
"""Whose frames are counted side by side, which reads all of each."""

CROPS_SCHEMA = pa.schema(
    [
        ("video", pa.int32()),
        ("number", pa.int64()),  # of the frame in its video, from 1
        ("left", pa.int32()),
        ("top", pa.int32()),
        ("right", pa.int32()),  # right and bottom are not included
        ("bottom", pa.int32()),
    ]
)
"""Where each crop of a listing is."""


@dataclass(frozen=True)
class Camera:
    """A video, or a folder of frames, and the file that a tracker wrote of it.

    name: the camera's name or number. start: seconds at which the video begins, on the clock that cameras share.
    split: of its crops. persons: a file that says who is in the boxes, for evaluation (`read_persons`).
    """

    video: str
    tracks: str
    name: str
    scenario: str = DEFAULT_SCENARIO
    group: int = 0
    start: float | None = None
    persons: str | None = None
    split: str = "train"


@dataclass(frozen=True)
class CropOptions:
    """Which boxes become crops: of every n-th frame, or else at most `per_tracklet` of a tracklet.

    min_height: in pixels, of what is inside the frame. min_confidence: the tracker's own, and no unknown one if it
    is above 0. max_gap: an id that is away for more frames than that begins a new tracklet.
    """

    every: int | None = None
    per_tracklet: int = 32
    min_height: int = 0
    min_confidence: float = 0.0
    max_gap: int = 30


@dataclass(frozen=True)
class TrackListing:
    """listing: a row a crop. crops: CROPS_SCHEMA, of the same rows. videos: what `video` counts.

    tracks: TRACKS_SCHEMA.
    """

    listing: Listing
    crops: pa.Table
    videos: list[Frames]
    tracks: pa.Table


def list_crops(cameras: Sequence[Camera], options: CropOptions) -> TrackListing:
    """The crops to cut from the videos of `cameras`; of one camera they may be several, one after the other.

    A crop's uri is CAMERA/TRACKLET-FRAME.jpg. Tracklets count from 1 within a camera, in order of time; so do
    frames, on from one video of a camera to the next.

    Raises:
        ConfigError: a video, and PyAV is not installed.
        CorpusError: a file that cannot be read, with the line where there is one, or no box that is left.
    """
    numbers, names = number_names([camera.name for camera in cameras], np.int32)
    ends: dict[tuple[str, int], tuple[int, int]] = {}  # of each camera, its last tracklet and frame
    rows, crops, tracks, aside = [], [], [], []
    videos: list[Frames] = []
    tables = [read_boxes(camera.tracks) for camera in cameras]  # a fault in one is known at once
    with ThreadPoolExecutor(_VIDEOS_AT_ONCE) as pool:
        opened = list(pool.map(_frames, [camera.video for camera in cameras]))
    for place in _in_time(cameras):
        camera, number = cameras[place], int(numbers[place])
        boxes, frames = tables[place], opened[place]
        _check_end(boxes, frames, camera)
        before = ends.get((camera.scenario, number), (0, 0))
        found = split_ids(boxes.frame, boxes.id, options.max_gap)
        ends[camera.scenario, number] = (before[0] + len(found), before[1] + frames.num)
        persons = np.full(len(boxes), UNKNOWN, np.int64)
        if camera.persons is not None:
            persons = read_persons(camera.persons, boxes)
        pixels = pixel_boxes(boxes.box, frames.width, frames.height)
        chosen = _choose(boxes, found, pixels, options, camera)
        tracklet, frame = found.of + 1 + before[0], boxes.frame + before[1]
        uris = [f"{camera.name}/{t:06d}-{f:05d}.jpg" for t, f in zip(tracklet, frame, strict=True)]
        bad = pixels[:, 3] == 0
        for row in np.flatnonzero(chosen & bad):
            said = f"line {boxes.line[row]} of {camera.tracks}: the box {boxes.box[row].tolist()} in a frame of "
            said += f"{frames.width} x {frames.height} pixels"
            aside.append(SetAside(uris[row], "bad_box", said, camera.scenario))
        kept = np.flatnonzero(chosen & ~bad)
        columns = {
            "uri": [uris[row] for row in kept],
            "scenario": [camera.scenario] * len(kept),
            "group": np.full(len(kept), camera.group, np.int8),
            "camera": np.full(len(kept), number, np.int32),
            "tracklet": tracklet[kept],
            "frame": frame[kept],
            "split": [camera.split] * len(kept),
            "person": persons[kept],
            "clothes": np.full(len(kept), UNKNOWN, np.int64),
        }
        rows.append(pa.table(columns, schema=LISTING_SCHEMA))
        video = np.full(len(kept), len(videos), np.int32)
        where = [video, boxes.frame[kept], *pixels[kept].T]
        crops.append(
            pa.table(dict(zip(CROPS_SCHEMA.names, where, strict=True)), schema=CROPS_SCHEMA)
        )
        tracks.append(_tracks(camera, number, found, before))
        videos.append(frames)
    listed, cut = pa.concat_tables(rows), pa.concat_tables(crops)
    order = pc.sort_indices(listed, [("uri", "ascending"), ("scenario", "ascending")])
    keys = [(name, "ascending") for name in ("scenario", "camera", "tracklet")]
    return TrackListing(
        Listing(listed.take(order).combine_chunks(), names, aside),
        cut.take(order).combine_chunks(),
        videos,
        pa.concat_tables(tracks).sort_by(keys).combine_chunks(),
    )


def _in_time(cameras: Sequence[Camera]) -> list[int]:
    """Places in `cameras`; of one camera's videos by their start, where all of them have one."""
    of: dict[tuple[str, str], list[int]] = {}
    for place, camera in enumerate(cameras):
        of.setdefault((camera.scenario, camera.name), []).append(place)
    ordered = []
    for places in of.values():
        starts = [cameras[place].start for place in places]
        if None not in starts:
            places.sort(key=lambda place: cameras[place].start or 0.0)
        ordered += places
    return ordered


def _frames(path: str) -> Frames:
    filesystem, inner = resolve(path)
    folder = filesystem.get_file_info(inner).type == fs.FileType.Directory
    return folder_frames(path) if folder else video_frames(path)


def _check_end(boxes: Boxes, frames: Frames, camera: Camera) -> None:
    if boxes.frame[-1] > frames.num:
        row = int(np.searchsorted(boxes.frame, frames.num, side="right"))
        raise CorpusError(
            f"{camera.tracks}: line {boxes.line[row]}: frame {boxes.frame[row]} is beyond the end of {frames.path}, "
            f"which has {frames.num} frames; expected the whole video that the tracker read, and frames from 1"
        )


def _choose(
    boxes: Boxes, found: Tracklets, pixels: np.ndarray, options: CropOptions, camera: Camera
) -> np.ndarray:
    """bool [N]: the boxes to crop; those without a pixel among them, so that their share is the tracker's."""
    heights = pixels[:, 3] - pixels[:, 1]
    usable = (heights >= options.min_height) | (pixels[:, 3] == 0)
    if options.min_confidence > 0:
        usable &= boxes.conf >= options.min_confidence
    rows = np.flatnonzero(usable)
    if not len(rows):
        raise CorpusError(
            f"no box of {camera.tracks} is left: heights go up to {heights.max()} pixels and confidences up to "
            f"{boxes.conf.max():g} (-1: unknown); lower min_height ({options.min_height}) or min_confidence "
            f"({options.min_confidence:g})"
        )
    if options.every is not None:
        taken = every_nth(boxes.frame[rows], options.every)
    else:
        taken = at_most(boxes.frame[rows], found.of[rows], options.per_tracklet)
    chosen = np.zeros(len(boxes), bool)
    chosen[rows[taken]] = True
    return chosen


def _tracks(camera: Camera, number: int, found: Tracklets, before: tuple[int, int]) -> pa.Table:
    num = len(found)
    columns = {
        "scenario": [camera.scenario] * num,
        "group": np.full(num, camera.group, np.int8),
        "camera": np.full(num, number, np.int32),
        "tracklet": np.arange(1, num + 1) + before[0],
        "tracks": [camera.tracks] * num,
        "tracks_digest": [image_digest(read_bytes(camera.tracks)).hex()] * num,
        "video": [camera.video] * num,
        "start": [camera.start] * num,
        "id": found.id,
        "first_frame": found.first,
        "last_frame": found.last,
        "frame_offset": np.full(num, before[1], np.int64),
    }
    return pa.table(columns, schema=TRACKS_SCHEMA)
