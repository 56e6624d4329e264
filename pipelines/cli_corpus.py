"""The commands that make a corpus and look at it, and the console of every command."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from typer import Argument, Option

from pipelines.console import Console

console = Console()
CROPS = "Crops of --as tracks"


def synth(
    out: Annotated[str, Option(help="Folder for the pictures or videos.")],
    people: Annotated[
        int | None,
        Option(
            min=1,
            help="Training people per scenario and group.",
            show_default="60; 20 with --video",
        ),
    ] = None,
    test_people: Annotated[
        int | None,
        Option(
            min=0,
            help="Test people per scenario.",
            show_default="two thirds of --people; half with --video",
        ),
    ] = None,
    images: Annotated[
        int | None, Option(min=1, help="Pictures per person and group.", show_default="4")
    ] = None,
    overlap: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Of each group's training people, so many are in the other group too.",
            show_default="1",
        ),
    ] = None,
    seed: Annotated[int, Option(min=0, help="The same seed draws the same pictures.")] = 0,
    height: Annotated[
        int | None,
        Option(
            min=16,
            help="Height in pixels, of a picture (its width is half) or of a frame (16:9).",
            show_default="64; 180 with --video",
        ),
    ] = None,
    video: Annotated[
        bool, Option("--video", help="Film them walking by cameras, with a tracker's files.")
    ] = False,
    tracker_noise: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="With --video: of the tracks, so many break in two; at so many meetings two are mixed up.",
            show_default="0",
        ),
    ] = None,
) -> None:
    """Draw synthetic people to try the pipeline on."""
    from pipelines.bars import stage_bars
    from pipelines.synth.command import draw

    given: dict[str, float | None] = {
        "people": people,
        "test_people": test_people,
        "images": images,
        "overlap": overlap,
        "height": height,
    }
    given |= {"seed": seed, "tracker_noise": tracker_noise}
    with stage_bars(console) as report:
        line = draw(out, video, given, lambda done, all: report("draw", done, all))
    console.print(line)


def ingest(
    path: Annotated[
        str | None, Argument(help="The folder of pictures, or for --as tracks the video.")
    ] = None,
    *,
    out: Annotated[str, Option(help="Where to put the corpus: a folder, s3:// or gs://.")],
    kind: Annotated[
        str | None,
        Option(
            "--as",
            metavar="KIND",
            help="What PATH is: folder, tracks (docs/video.md), synthetic, or a collection as published "
            "(`itkm collections`).",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        Option(
            help="Layout of the paths, if other than {scenario}/{group}/{camera}/{name} (docs/corpus.md)."
        ),
    ] = None,
    manifest: Annotated[
        str | None, Option(help="For --as folder: a CSV or Parquet list of the pictures.")
    ] = None,
    scenario: Annotated[str | None, Option(help="Put all pictures in this scenario.")] = None,
    variant: Annotated[
        str | None,
        Option(
            help="Of a collection that comes in several, such as RegDB's trials.",
            show_default="its first",
        ),
    ] = None,
    derive: Annotated[
        str | None,
        Option(
            metavar="HOW",
            help="Make the second group; mlr: the pictures of --cameras (1) in low resolution; clothes: those of group "
            "0 in other clothes.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        Option(
            help="How the group is decided: column, camera or resolution.",
            show_default="as the source says",
        ),
    ] = None,
    cameras: Annotated[
        str | None, Option(help="With --by camera: those of group 1, as 3,6 or by their names.")
    ] = None,
    below: Annotated[
        int | None,
        Option(help="With --by resolution: pictures lower than this, in pixels, are group 1."),
    ] = None,
    max_rejected_fraction: Annotated[
        float | None,
        Option(
            metavar="SHARE", help="Stop if more of the pictures are unusable.", show_default="0.01"
        ),
    ] = None,
    tracks: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="For --as tracks: the tracker's output, MOTChallenge text, CSV or Parquet.",
        ),
    ] = None,
    every: Annotated[
        int | None, Option(metavar="N", help="Crops of every N-th frame.", rich_help_panel=CROPS)
    ] = None,
    per_tracklet: Annotated[
        int | None,
        Option(
            metavar="N",
            help="Or at most N crops of a tracklet, spread evenly.",
            show_default="32",
            rich_help_panel=CROPS,
        ),
    ] = None,
    min_height: Annotated[
        int | None,
        Option(metavar="PIXELS", help="No crops lower than this.", rich_help_panel=CROPS),
    ] = None,
    min_confidence: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            help="No crops that the tracker is less sure of.",
            rich_help_panel=CROPS,
        ),
    ] = None,
    max_gap: Annotated[
        int | None,
        Option(
            metavar="FRAMES",
            help="An id that is away for longer begins a new tracklet.",
            show_default="30",
            rich_help_panel=CROPS,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        Option(help="Of the JPEGs, 1 to 100.", show_default="95", rich_help_panel=CROPS),
    ] = None,
    config: Annotated[
        str | None, Option(metavar="FILE", help="A YAML file of several sources, instead of PATH.")
    ] = None,
) -> None:
    """Turn pictures, or videos and tracks, into a corpus."""
    from pipelines.bars import stage_bars
    from pipelines.ingest.command import request
    from pipelines.ingest.make import ingest as run_ingest
    from pipelines.ingest.tables import print_summary
    from pipelines.session import ray_session

    numbers = cameras.split(",") if cameras is not None else None
    source = {
        "pattern": pattern,
        "manifest": manifest,
        "scenario": scenario,
        "variant": variant,
        "derive": derive,
        "tracks": tracks,
    }
    crops = {
        "every": every,
        "per_tracklet": per_tracklet,
        "min_height": min_height,
        "min_confidence": min_confidence,
        "max_gap": max_gap,
        "quality": quality,
    }
    group_by = {"by": by, "cameras": numbers, "below": below}
    limits = {"max_rejected_fraction": max_rejected_fraction}
    wanted = request(config, kind, path, group_by=group_by, crops=crops, limits=limits, **source)
    with stage_bars(console) as progress:
        connect = partial(ray_session, console)
        corpus = run_ingest(wanted, out, progress=progress, connect=connect)
    print_summary(console, corpus)
    console.print(f"corpus                 {out}")


def collections(
    name: Annotated[str | None, Argument(help="Of one collection.", show_default="all")] = None,
) -> None:
    """List public collections, and how their folders must look."""
    from pipelines.collections.command import show

    show(console, name)


def check(
    corpus: Annotated[
        str, Argument(metavar="CORPUS", help="A corpus made by `itkm ingest`; it is not changed.")
    ],
    out: Annotated[
        str | None, Option(help="Folder for issues.parquet; without it, nothing is written.")
    ] = None,
) -> None:
    """Find copies across splits and bad pictures in a corpus."""
    from pipelines.check.command import run_check
    from pipelines.session import ray_session

    run_check(corpus, out, console, partial(ray_session, console))
