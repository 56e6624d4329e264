"""`ingest --as tracks` against PyAV alone, which decodes the same videos and does nothing with their frames.

    python benchmarks/video_ingest.py [--json FILE]

Target: frames a second of the whole ingest (listing, cutting, writing shards; Ray running, its workers started) at
least 0.8 of PyAV's. PyAV has the same CPUs, and of two ways to use them the better counts: one video a process, one
thread each; or one after the other, with FFmpeg's threads. The three take turns; the median of the ratios counts. The
frames per second of processor time, of all processes, tell the same on a machine that others use, too.

The videos are made up: one a CPU, sensor noise over a still background, ten people at a time who cross it in 15 s.
`--b-frames 0` is harder: then no frame can be passed over, as in what many cameras write themselves.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import psutil
from bench_corpus import console, own_ray, record, scratch, show

from pipelines.ingest.config import ingest_config
from pipelines.ingest.make import ingest

FPS, CROSSING, AT_ONCE = 25, 375, 10


def make_video(base: Path, name: str, frames: int, height: int, b_frames: int, seed: int) -> None:
    """NAME.mp4 and NAME.txt: a person `height` / 4 pixels high enters every 1.5 s and takes 15 s."""
    rng = np.random.default_rng(seed)
    width = height * 16 // 9 // 2 * 2
    tall, wide = height // 4, height // 10
    still = rng.integers(60, 160, (height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1)
    noise = rng.normal(0, 4, (8, *still.shape))
    behind = (still + noise).clip(0, 255).astype(np.uint8)
    people = [
        (
            start,
            int(rng.integers(0, height - tall)),
            rng.integers(0, 255, (tall, wide, 3), np.uint8),
        )
        for start in range(-CROSSING, frames, CROSSING // AT_ONCE)
    ]
    lines = []
    options = {"preset": "veryfast", "bf": str(b_frames)}
    with av.open(str(base / f"{name}.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width = still.shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in range(frames):
            picture = behind[frame % len(behind)].copy()
            for number, (start, top, clothes) in enumerate(people):
                if start <= frame < start + CROSSING:
                    left = (frame - start) * (width - wide) // CROSSING
                    picture[top : top + tall, left : left + wide] = clothes
                    lines.append(f"{frame + 1},{number},{left},{top},{wide},{tall},0.9")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    (base / f"{name}.txt").write_text("\n".join(lines))


def decode(path: str, threads: int) -> int:
    """Decode all of a video. Returns the number of its frames."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def processor() -> float:
    """Seconds of processor time that this process and its children have taken, also those that have ended."""
    tree = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (tree, *tree.children(recursive=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=3000, help="of each video")
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--b-frames", type=int, default=3, help="in a row; x264's own choice is 3")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cpus, names = arguments.cpus, [f"cam{number}" for number in range(arguments.cpus)]
    ways = ("PyAV, processes", "PyAV, threads", "ingest")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    os.environ |= {"RAY_worker_niceness": "0"}  # as the processes of the others
    with scratch() as base, own_ray(cpus), ProcessPoolExecutor(cpus) as pool:
        for seed, name in enumerate(names):
            make_video(base, name, arguments.frames, arguments.height, arguments.b_frames, seed)
        lines = [f"- {{video: {n}.mp4, tracks: {n}.txt, camera: {n}}}" for n in names]
        (base / "cameras.yaml").write_text("\n".join(["cameras:", *lines]))
        source = {"kind": "tracks", "path": str(base / "cameras.yaml")}
        videos = [str(base / f"{name}.mp4") for name in names]
        total = arguments.frames * len(names)
        ingest(ingest_config(sources=[source]), base / "warm")
        for turn in range(arguments.repeats):
            marks = [(time.perf_counter(), processor())]
            assert sum(pool.map(decode, videos, [1] * cpus)) == total
            marks.append((time.perf_counter(), processor()))
            assert sum(decode(video, cpus) for video in videos) == total
            marks.append((time.perf_counter(), processor()))
            corpus = ingest(ingest_config(sources=[source]), base / f"corpus{turn}")
            marks.append((time.perf_counter(), processor()))
            for name, (wall, cpu) in zip(ways, np.diff(marks, axis=0), strict=True):
                rates[name].append(total / wall)
                busy[name].append(total / cpu)
            console.print(f"turn {turn + 1}: " + str({k: round(v[-1]) for k, v in rates.items()}))
    ratio, share = (
        statistics.median(
            np.array(each["ingest"]) / np.maximum(each["PyAV, processes"], each["PyAV, threads"])
        )
        for each in (rates, busy)
    )
    rows = [
        {
            "what": name,
            "frames/s": statistics.median(rates[name]),
            "frames per CPU second": statistics.median(busy[name]),
        }
        for name in ways
    ]
    show(f"{total:,} frames of {arguments.height}p, {corpus.num_images:,} crops, {cpus} CPUs", rows)
    console.print(f"ingest / the better of PyAV: {ratio:.2f} (target: at least 0.8)")
    console.print(f"the same of processor time:  {share:.2f}")
    found = {"rates": rates, "per_cpu_second": busy, "ratio": ratio, "cpu_ratio": share}
    record(arguments.json, {**found, "num_crops": corpus.num_images})


if __name__ == "__main__":
    main()
