"""The `itkm` command. Exit codes: 0 done, 1 a fault of ours, 2 something to change, 130 or 143
interrupted by Ctrl-C or by SIGTERM."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from itkm_core.errors import ItkmError
from itkm_core.storage.paths import refuse_secrets
from pipelines.config import DEFAULT_RECIPE, load_config, recipe_names
from pipelines.secrets import without_secrets
from pipelines.signals import heed_sigterm, interrupted_code

app = typer.Typer(
    help="Pseudo-identities and one encoder from unlabelled person pictures of different cameras.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
INTERRUPTED = "interrupted; the same command continues from the last complete step"

Recipe = Annotated[
    str, typer.Option(help=f"One of {', '.join(recipe_names())}, or a YAML file of your own.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to the recipe, such as labels.eps=0.5 only=\\[uvi]."),
]


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    people: Annotated[int, typer.Option(min=1, help="Training people per scenario.")] = 60,
    test_people: Annotated[
        int | None, typer.Option(min=0, help="Test people per scenario; two thirds of --people.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Pictures per person and group.")] = 4,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    height: Annotated[int, typer.Option(min=16, help="Picture height; the width is half.")] = 64,
) -> None:
    """Draw made-up people for the three scenarios."""
    from itkm_core.synthetic.write import SyntheticConfig, write_people
    from pipelines.bars import stage_bars

    config = SyntheticConfig(
        people_train=people,
        people_test=2 * people // 3 if test_people is None else test_people,
        images=images,
        seed=seed,
        height=height,
        width=height // 2,
    )
    with stage_bars(console) as report:
        made = write_people(config, out, progress=lambda done, all: report("draw", done, all))
    how = " (reused)" if made.reused else ""
    console.print(f"{made.num_images:,} pictures{how} in {out}", highlight=False)


@app.command()
def ingest(
    path: Annotated[str | None, typer.Argument(help="The folder with the pictures.")] = None,
    *,
    out: Annotated[str, typer.Option(help="Where the corpus goes: a folder, s3:// or gs://.")],
    kind: Annotated[
        str | None, typer.Option("--as", help="folder, market1501 or synthetic.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="How paths are read: {scenario}/{group}/{camera}/{name}")
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(help="CSV or Parquet that lists the pictures of PATH.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="Name of the one scenario.")] = None,
    by: Annotated[
        str | None, typer.Option(help="What tells the group: column, camera or resolution.")
    ] = None,
    cameras: Annotated[
        str | None, typer.Option(help="--by camera: cameras of group 1, such as 3,6")
    ] = None,
    below: Annotated[
        int | None, typer.Option(help="--by resolution: lower than this many px is group 1")
    ] = None,
    max_rejected_fraction: Annotated[
        float | None, typer.Option(help="Stop above this share of unusable pictures. [0.01]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML with several sources.")] = None,
) -> None:
    """Turn folders of pictures into a corpus."""
    from pipelines.bars import stage_bars
    from pipelines.ingest.command import request
    from pipelines.ingest.make import ingest as run_ingest
    from pipelines.ingest.tables import summary_table
    from pipelines.session import ray_session

    wanted = request(
        config,
        kind,
        path,
        group_by={
            "by": by,
            "cameras": cameras.split(",") if cameras is not None else None,
            "below": below,
        },
        limits={"max_rejected_fraction": max_rejected_fraction},
        pattern=pattern,
        manifest=manifest,
        scenario=scenario,
    )
    with ray_session(console), stage_bars(console) as progress:
        corpus = run_ingest(wanted, out, progress=progress)
    console.print(summary_table(corpus))
    console.print(f"corpus                 {out}", highlight=False)


@app.command()
def run(
    corpus: Annotated[str, typer.Option(help="A corpus made by `itkm ingest`.")],
    out: Annotated[str, typer.Option(help="The run's folder; an unfinished run there goes on.")],
    recipe: Recipe = DEFAULT_RECIPE,
    overrides: Overrides = None,
) -> None:
    """Train on a corpus, all three stages; pseudo-labels and an encoder come out."""
    from itkm_core.corpus.schema import Corpus
    from pipelines.run.command import run_pipeline
    from pipelines.session import ray_session

    config = load_config(recipe, overrides)
    Corpus.open(corpus)  # a wrong path shows before Ray starts
    if config.model.name == "itkm-tiny":
        console.print(
            "[yellow]note[/] the model is itkm-tiny, made to try the pipeline on small drawn people; "
            "for photographs use --recipe joint",
            highlight=False,
        )
    with ray_session(console):
        run_pipeline(config, corpus, out, console)


@app.command()
def doctor(
    corpus: Annotated[
        str | None, typer.Option(help="The run's corpus. [what hangs on it is not checked]")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="The run's folder. [what hangs on it is not checked]")
    ] = None,
    recipe: Recipe = DEFAULT_RECIPE,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds that a node has for each of its answers.")
    ] = 60,
    overrides: Overrides = None,
) -> None:
    """Look for what would end a long run: the command of the run, with `doctor` for `run`.

    Asks every node of the cluster, and computes nothing. A line for each check: ok, warn or fail. Exit code 2 where
    one is a fail, else 0.
    """
    from pipelines.doctor.command import DoctorRequest
    from pipelines.doctor.command import doctor as run_doctor
    from pipelines.session import ray_session

    request = DoctorRequest(load_config(recipe, overrides), corpus, out, timeout)
    with ray_session(console):
        failed = run_doctor(request, console)
    if failed:
        raise typer.Exit(2)


@app.command()
def label(
    out: Annotated[str, typer.Option(help="Folder for the labels, or of a sweep.")],
    features: Annotated[
        str | None,
        typer.Option(help="Features made elsewhere: .npy, or .parquet with sample_id, feature."),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            help="Sample ids of --features, .npy. [row numbers; with --against they go on behind its largest id]"
        ),
    ] = None,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Divide each row of --features by its norm.")
    ] = False,
    corpus: Annotated[
        str | None, typer.Option(help="Or a corpus made by `itkm ingest`: its training images.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="The encoder: a run's folder or checkpoint. [CLIP, pre-trained]"),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="[the run's of --checkpoint; else with --features the method's defaults]"
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            help="eps=0.4:0.7:0.05: what each value gives. No labels, unless labels.eps=auto."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="An earlier --out: label images that arrived later by its labels, none of which moves. "
            "A corpus' sample ids go on behind its largest one.",
        ),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Pseudo-labels without training: of features made elsewhere, or of a corpus with an encoder."""
    from pipelines.label.command import LabelRequest
    from pipelines.label.command import label as run_label

    request = LabelRequest(
        out,
        features,
        ids,
        normalise,
        corpus,
        checkpoint,
        recipe,
        sweep,
        against,
        tuple(overrides or ()),
    )
    run_label(request, console)


@app.command()
def evaluate(
    run_path: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder.")],
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write it here.")] = None,
) -> None:
    """Print retrieval and label quality of a run's newest evaluated round."""
    from itkm_core.storage.place import Place
    from pipelines.artifacts.run_folder import read_run
    from pipelines.run.tables import evaluation_table, quality_table
    from pipelines.steps.evaluate import newest_evaluation

    folder, _ = read_run(Place.at(run_path))
    name, result = newest_evaluation(folder)
    console.print(evaluation_table(result["retrieval"], f"retrieval, {name}"))
    console.print(quality_table(result["labels"], f"pseudo-labels, {name}"))
    if json_path is not None:
        Place.at(json_path).write_json({"step": name, **result})
    console.print(f"JSON                   {json_path or folder.step(name) / 'evaluation.json'}")


@app.command()
def ablate(
    corpus: Annotated[str, typer.Option(help="A corpus made by `itkm ingest`, with identities.")],
    recipe: Recipe = DEFAULT_RECIPE,
    seeds: Annotated[str, typer.Option(help="A run of every row for each of these.")] = "0,1,2",
    out: Annotated[
        str, typer.Option(help="Folder of the runs and the table; what is finished there is kept.")
    ] = "ablation",
    rows: Annotated[str, typer.Option(help="Only these rows, with commas between. All.")] = "",
    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time. One a GPU, or one per two CPUs."),
    ] = None,
    plot: Annotated[bool, typer.Option(help="Also a picture; needs the extra `report`.")] = True,
    overrides: Overrides = None,
) -> None:
    """Run the method with and without its parts, and write the table.

    Rows, each adding one part to the row before: baseline (Stage I in all rounds, no scenario embedding),
    scenario-embedding (Stage I only; gains are measured from here), text-guidance, separation-loss, chm, ihm,
    full (with dru: the recipe as it is). Then without-PART, the full method less one part, and
    single-scenario, the full method on one scenario a run. All have the same number of rounds.
    """
    from pipelines.ablate.command import open_study, report, run_study
    from pipelines.ablate.plot import require_plot
    from pipelines.session import ray_session

    if plot:
        require_plot()  # before hours of runs, not after
    study = open_study(corpus, recipe, overrides or [], seeds, out, rows)
    waiting = study.waiting()
    kept = len(study.keys) - len(waiting)
    console.print(f"{len(study.keys)} runs, {kept} of them finished and kept", highlight=False)
    if waiting:
        with ray_session(console):
            run_study(study, console, at_once=at_once)
            if study.failures:  # raises, as steps of a failed run may still wait for Ray
                report(study, console, plot=plot)
    report(study, console, plot=plot)


@app.command()
def dag(
    corpus: Annotated[str, typer.Option(help="A corpus made by `itkm ingest`.")],
    recipe: Recipe = DEFAULT_RECIPE,
    mermaid: Annotated[bool, typer.Option(help="As a mermaid flowchart.")] = False,
    overrides: Overrides = None,
) -> None:
    """Print the steps of a run and what each waits for."""
    from itkm_core.corpus.schema import Corpus
    from pipelines.run.command import rounds_of
    from pipelines.run.dag import as_mermaid, as_text

    rounds = rounds_of(load_config(recipe, overrides), Corpus.open(corpus))
    print(as_mermaid(rounds) if mermaid else as_text(rounds))


@app.command("config")
def show_config(recipe: Recipe = DEFAULT_RECIPE, overrides: Overrides = None) -> None:
    """Print the resolved configuration."""
    resolved = load_config(recipe, overrides).model_dump(mode="json")
    print(yaml.safe_dump(resolved, sort_keys=False), end="")


def main(argv: list[str] | None = None) -> None:
    """Entry point of the console script."""
    errors = Console(stderr=True)
    code: Any = 0
    heed_sigterm()
    try:
        for argument in sys.argv[1:] if argv is None else argv:
            refuse_secrets(argument)  # before one is printed, or written down
        code = app(args=argv, standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except ItkmError as error:
        said = escape(without_secrets(str(error)))
        errors.print(f"[red]error[/] {said}", highlight=False, soft_wrap=True)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:  # noqa: BLE001 - the last stop of a fault
        explain = getattr(error, "format_message", None)  # a wrong option, in the words of click
        if explain is not None:
            said = escape(without_secrets(explain()))
            errors.print(f"[red]error[/] {said}", highlight=False, soft_wrap=True)
            code = 2
        else:
            sys.stderr.write(without_secrets(traceback.format_exc()))
            errors.print("[red]fault[/] this is not a mistake of yours; please report the above")
            code = 1
    interrupted = code == 130  # also what typer makes of Ctrl-C, without a word
    if interrupted:
        code = interrupted_code()
    try:
        if interrupted:
            errors.print(INTERRUPTED)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # whoever read what is printed may be gone, and a signal may come again
        if code:
            # Steps wait for Ray in threads that cannot be stopped and must not hold up the exit.
            os._exit(int(code))


if __name__ == "__main__":
    main()
