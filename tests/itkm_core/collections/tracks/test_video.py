from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
from made_video import number_of, numbered, whole, write_video
from pyarrow import fs

from itkm_core.collections.tracks import video
from itkm_core.collections.tracks.frames import plan_spans
from itkm_core.collections.tracks.video import decoded, video_frames
from itkm_core.errors import ConfigError, CorpusError

NUM = 40


def plain(path: Path) -> list[np.ndarray]:
    """The slow twin: every frame from the beginning, whole."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v.mp4", {}),
        ("v.mp4", {"gop": 1}),
        ("v.mp4", {"gop": 1000}),
        ("v.mp4", {"options": {"x264-params": "open-gop=1"}}),
        ("v.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=error"}}),
        ("v.mkv", {}),
        ("v.ts", {}),
        ("v.avi", {"codec": "mpeg4", "options": {"qmin": "1", "qmax": "1"}}),
        ("v.webm", {"codec": "libvpx-vp9"}),
        ("v.mp4", {"times": [n * n // 9 + n for n in range(NUM)]}),  # a variable frame rate
    ],
)
def test_any_frame_can_be_reached(tmp_path: Path, name: str, options) -> None:
    path = write_video(tmp_path / name, numbered(NUM), **options)
    frames = video_frames(str(path))
    assert (frames.width, frames.height, frames.num) == (96, 64, NUM)
    expected = plain(path)
    assert [number_of(pixels) for pixels in expected] == list(range(1, NUM + 1))
    wanted = np.array([3, 4, 11, 12, 13, 29, 40])
    spans = plan_spans(frames, wanted, cpus=1)
    assert [n for span in spans for n in wanted[span.start : span.stop]] == wanted.tolist()
    for span in spans:
        mine = wanted[span.start : span.stop]
        found = list(decoded(str(path), frames.at(mine).tolist(), span.seeks))
        assert [at for at, _ in found] == frames.at(mine).tolist()
        for number, (_, picture) in zip(mine, found, strict=True):
            assert np.array_equal(whole(picture), expected[number - 1])
    for number in wanted:
        (span,) = plan_spans(frames, np.array([number]), cpus=1)
        ((_, picture),) = decoded(str(path), frames.at(np.array([number])).tolist(), span.seeks)
        assert number_of(whole(picture)) == number


def test_a_video_without_times_is_counted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.h264", numbered(NUM))
    frames = video_frames(str(path))
    assert frames.num == NUM
    assert frames.pts is None
    (span,) = plan_spans(frames, np.array([2, 39]), cpus=8)
    found = [number_of(whole(picture)) for _, picture in decoded(str(path), [1, 38], span.seeks)]
    assert found == [2, 39]


def test_a_seek_that_leads_too_far_is_tried_again(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(NUM))
    frames = video_frames(str(path))
    assert frames.pts is not None
    late, at = int(frames.pts[30]), frames.at(np.array([5])).tolist()
    ((_, picture),) = decoded(str(path), at, [late, late])
    assert number_of(whole(picture)) == 5


@pytest.mark.parametrize(
    ("rotation", "corner"), [(90, (1, 0)), (-90, (0, 1)), (180, (1, 1)), (0, (0, 0))]
)
def test_a_rotated_video_is_upright(tmp_path: Path, rotation: float, corner) -> None:
    path = write_video(tmp_path / "v.mp4", numbered(3), rotation=rotation)
    frames = video_frames(str(path))
    turned = rotation % 180 != 0
    assert (frames.width, frames.height) == ((64, 96) if turned else (96, 64))
    (_, picture), *_ = decoded(str(path), [0], [])
    assert (picture.width, picture.height) == (frames.width, frames.height)
    pixels = whole(picture)
    assert pixels.shape == (frames.height, frames.width, 3)
    rows, columns = np.nonzero(pixels[..., 0].astype(int) - pixels[..., 1] > 100)  # the red corner
    middle = (rows.mean() > frames.height / 2, columns.mean() > frames.width / 2)
    assert middle == corner


def test_odd_sizes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", numbered(3, 63, 95), pixels="yuv444p")
    frames = video_frames(str(path))
    assert (frames.width, frames.height) == (95, 63)
    (_, picture), *_ = decoded(str(path), [2], [])
    assert number_of(whole(picture)) == 3


@pytest.mark.parametrize(
    ("codec", "pixels", "size"),
    [
        ("libx264", "yuv420p", (62, 94)),
        ("mjpeg", "yuvj420p", (62, 94)),
        ("libvpx-vp9", "yuv420p", (63, 95)),
        ("libx264rgb", "rgb24", (62, 94)),
    ],
)
def test_a_part_has_the_pixels_of_the_whole(tmp_path: Path, codec, pixels, size) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (2, *size, 3), np.uint8)
    path = write_video(tmp_path / "v.mkv", noise, codec=codec, pixels=pixels)
    for (_, picture), expected in zip(decoded(str(path), [0, 1], []), plain(path), strict=True):
        for _ in range(50):
            (left, right), (top, bottom) = (
                sorted(rng.choice(n + 1, 2, replace=False)) for n in size[::-1]
            )
            part = picture.part(left, top, right, bottom)
            assert np.array_equal(part, expected[top:bottom, left:right])


def test_a_truncated_video(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "v.mp4", numbered(NUM)).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])  # its table is at the end
    with pytest.raises(
        CorpusError, match=r"no video can be read from .*cut\.mp4: .*expected a whole video file"
    ):
        video_frames(str(tmp_path / "cut.mp4"))
    with (
        av.open(str(tmp_path / "v.mp4")) as given,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as fast,
    ):
        stream = fast.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                fast.mux(packet)
    whole = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 4 // 5])  # its table is whole
    assert 0 < video_frames(str(tmp_path / "cut.mp4")).num < NUM
    whole = write_video(tmp_path / "v.mkv", numbered(NUM)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    assert 0 < video_frames(str(tmp_path / "cut.mkv")).num < NUM


def test_a_damaged_packet_costs_frames_of_its_own(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", numbered(NUM), codec="mjpeg", pixels="yuvj420p")
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    data[starts[20] : starts[21] - 40] = bytes(starts[21] - 40 - starts[20])
    path.write_bytes(data)
    frames = video_frames(str(path))
    at = frames.at(np.array([20, 21, 22])).tolist()
    assert frames.num == NUM
    assert [number_of(whole(picture)) for _, picture in decoded(str(path), at, [at[0]])] == [20, 22]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"not a video, whatever its name says" * 9, "Invalid data"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n", "a list of other files"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "a list of other files"),
    ],
)  # fmt: skip
def test_what_is_no_video(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "v.mp4").write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        video_frames(str(tmp_path / "v.mp4"))
    assert why in str(caught.value)
    assert str(tmp_path / "v.mp4") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sound_alone_and_no_file(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(CorpusError, match="there are no pictures in it"):
        video_frames(str(tmp_path / "a.wav"))
    with pytest.raises(CorpusError, match=r"there is no video .*gone\.mp4"):
        video_frames(str(tmp_path / "gone.mp4"))


def test_a_name_is_never_an_address(tmp_path: Path, monkeypatch) -> None:
    path = write_video(tmp_path / "pipe:0 a%20b.mp4", numbered(2))
    assert video_frames(str(path)).num == 2
    assert video_frames(path.as_uri()).num == 2


def test_a_video_in_an_object_store(tmp_path: Path, monkeypatch) -> None:
    write_video(tmp_path / "v.mp4", numbered(NUM))
    store = fs.SubTreeFileSystem(
        str(tmp_path), fs.LocalFileSystem()
    )  # read through Python, as all stores
    monkeypatch.setattr(video, "resolve", lambda path: (store, path.removeprefix("s3://bucket/")))
    frames = video_frames("s3://bucket/v.mp4")
    assert frames.num == NUM
    (span,) = plan_spans(frames, np.array([30]), cpus=1)
    ((_, picture),) = decoded("s3://bucket/v.mp4", frames.at(np.array([30])).tolist(), span.seeks)
    assert number_of(whole(picture)) == 30


def test_without_pyav(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        ConfigError, match=r"pip install 'itkm\[video\]'; or give a folder of frames"
    ):
        video_frames(str(tmp_path / "v.mp4"))
