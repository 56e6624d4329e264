"""The commands that make a corpus, and the console of every command."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from typer import Argument, Option

from pipelines.console import Console

console = Console()


def synth(
    out: Annotated[str, Option(help="Folder for the pictures or videos.")],
    people: Annotated[
        int | None,
        Option(min=1, help="Training people per scenario.", show_default="60; 20 with --video"),
    ] = None,
    test_people: Annotated[
        int | None,
        Option(min=0, help="Test people per scenario.", show_default="two thirds of --people"),
    ] = None,
    images: Annotated[
        int | None, Option(min=1, help="Pictures per person and group.", show_default="4")
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
        "height": height,
    }
    given |= {"seed": seed, "tracker_noise": tracker_noise}
    with stage_bars(console) as report:
        line = draw(out, video, given, lambda done, all: report("draw", done, all))
    console.print(line)


def ingest(
    path: Annotated[str | None, Argument(help="The folder of pictures.")] = None,
    *,
    out: Annotated[str, Option(help="Where to put the corpus: a folder, s3:// or gs://.")],
    kind: Annotated[
        str | None, Option("--as", help="How PATH is laid out: folder, market1501 or synthetic.")
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
    config: Annotated[
        str | None, Option(metavar="FILE", help="A YAML file of several sources, instead of PATH.")
    ] = None,
) -> None:
    """Turn folders of pictures into a corpus."""
    from pipelines.bars import stage_bars
    from pipelines.ingest.command import request
    from pipelines.ingest.make import ingest as run_ingest
    from pipelines.ingest.tables import print_summary
    from pipelines.session import ray_session

    numbers = cameras.split(",") if cameras is not None else None
    source = {"pattern": pattern, "manifest": manifest, "scenario": scenario}
    group_by = {"by": by, "cameras": numbers, "below": below}
    limits = {"max_rejected_fraction": max_rejected_fraction}
    wanted = request(config, kind, path, group_by=group_by, limits=limits, **source)
    with stage_bars(console) as progress:
        connect = partial(ray_session, console)
        corpus = run_ingest(wanted, out, progress=progress, connect=connect)
    print_summary(console, corpus)
    console.print(f"corpus                 {out}")
