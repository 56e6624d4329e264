"""The `itkm` command. Exit codes: 0 done, 1 a bug in itkm, 2 something for the user to change, 130 or 143
interrupted by Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from functools import partial
from importlib import metadata
from typing import Annotated, Any

import typer
import yaml
from typer import Argument, Option

from itkm_core.storage.paths import refuse_secrets
from pipelines.cli_corpus import check, collections, console, ingest, synth
from pipelines.config import DEFAULT_RECIPE, load_config, recipe_names
from pipelines.console import Console, headed, settle_streams
from pipelines.faults import refuse_bytes, users_words
from pipelines.secrets import without_secrets
from pipelines.signals import heed_sigterm, interrupted_code

app = typer.Typer(
    help="Pseudo-identities and one encoder from unlabelled pictures of people.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
INTERRUPTED = "interrupted; the same command continues from the last complete step"

# The sections of `itkm --help`.
MAKE, TRAIN = "Make a corpus", "Train and label"
LOOK, CHECK = "Look at results", "Check before a run"
SKIPPED = "without it, the checks that need it are skipped."

# Rich takes words in square brackets for markup: defaults that are not values go to show_default.
CorpusPath = Annotated[str, Option(help="A corpus made by `itkm ingest`.")]
Recipe = Annotated[str, Option(help=f"{', '.join(recipe_names())}, or a YAML file of your own.")]
Overrides = Annotated[
    list[str] | None,
    Argument(help="Changes to the recipe, such as labels.eps=0.5 or only=\\[uvi]."),
]


def _version(wanted: bool) -> None:
    """Print what a bug report needs, from the packages' metadata: importing them takes seconds."""
    if wanted:
        itkm, ray, torch = (_installed(name) for name in ("itkm", "ray", "torch"))
        print(f"itkm {itkm} (Ray {ray}, torch {torch}, Python {platform.python_version()})")
        raise typer.Exit


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # itkm itself, run from a folder of its source
        return "not installed"


@app.callback()
def options(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show versions and exit.")
    ] = False,
) -> None:
    """Options that need no command."""


for command in (synth, ingest, collections):
    app.command(rich_help_panel=MAKE)(command)


@app.command(rich_help_panel=TRAIN)
def run(
    corpus: CorpusPath,
    out: Annotated[str, Option(help="The run's folder. An unfinished run there is continued.")],
    recipe: Recipe = DEFAULT_RECIPE,
    overrides: Overrides = None,
) -> None:
    """Train an encoder on a corpus and write pseudo-labels."""
    from itkm_core.corpus.schema import Corpus
    from pipelines.run.command import print_next, run_pipeline
    from pipelines.session import ray_session

    config = load_config(recipe, overrides)
    given = Corpus.open(corpus)  # a wrong path is reported before Ray starts
    if config.model.name == "itkm-tiny":
        said = "itkm-tiny knows only small drawn people; for photographs use --recipe joint"
        console.print(headed("note", "yellow", said))
    done = run_pipeline(config, corpus, out, console, connect=partial(ray_session, console))
    print_next(console, done, scored=given.has_identities, tracked=given.tracks() is not None)


@app.command(rich_help_panel=TRAIN)
def label(
    out: Annotated[str, Option(help="Folder for the labels or the sweep.")],
    features: Annotated[
        str | None, Option(help="Features to label: .npy, or .parquet of sample_id and feature.")
    ] = None,
    ids: Annotated[
        str | None,
        Option(
            help="Sample ids of --features, .npy.",
            show_default="row numbers; with --against, numbering continues after its largest id",
        ),
    ] = None,
    normalise: Annotated[
        bool, Option("--normalise", help="Divide each row of --features by its norm.")
    ] = False,
    corpus: Annotated[
        str | None, Option(help="A corpus made by `itkm ingest`: label its training images.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        Option(help="The encoder: a run's folder or checkpoint.", show_default="pre-trained CLIP"),
    ] = None,
    recipe: Annotated[
        str | None,
        Option(
            help="As for `itkm run`.",
            show_default=f"that of --checkpoint; the method's for --features; else {DEFAULT_RECIPE}",
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        Option(help="Compare values, as in eps=0.4:0.7:0.05; labels only if labels.eps=auto."),
    ] = None,
    against: Annotated[
        str | None,
        Option(help="An earlier --out: label new images by its labels, which do not change."),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write pseudo-labels without training.

    Labels either features made elsewhere (--features) or the images of a
    corpus (--corpus), which an encoder turns into features first.
    """
    from pipelines.label.command import LabelRequest
    from pipelines.label.command import label as run_label

    changes = tuple(overrides or ())
    request = LabelRequest(
        out, features, ids, normalise, corpus, checkpoint, recipe, sweep, against, changes
    )
    run_label(request, console)


@app.command(rich_help_panel=TRAIN)
def ablate(
    corpus: Annotated[str, Option(help="A corpus made by `itkm ingest`, with identities.")],
    recipe: Recipe = DEFAULT_RECIPE,
    seeds: Annotated[str, Option(help="Comma-separated; each row runs once per seed.")] = "0,1,2",
    out: Annotated[
        str, Option(help="Folder for the runs and the table. Finished runs there are kept.")
    ] = "ablation",
    rows: Annotated[str, Option(help="Comma-separated.", show_default="all")] = "",
    at_once: Annotated[
        int | None,
        Option(min=1, help="Runs side by side.", show_default="one per GPU, or one per two CPUs"),
    ] = None,
    plot: Annotated[bool, Option(help="Also draw it; needs the extra `report`.")] = True,
    overrides: Overrides = None,
) -> None:
    """Measure what each part of the method contributes.

    The rows of the table, each adding one part to the row before it:

    baseline            Stage I only, without scenario embedding
    scenario-embedding  Stage I only; gains are measured from here
    text-guidance
    separation-loss
    chm                 cluster-level matching
    ihm                 instance-level matching
    full                with dru: the recipe as it is

    Then without-PART, the full method less one part, and single-scenario, the
    full method on each scenario alone. All have the same number of rounds.
    """
    from pipelines.ablate.command import open_study, report, run_study
    from pipelines.ablate.plot import require_plot
    from pipelines.session import ray_session

    if plot:
        require_plot()  # before hours of runs, not after
    study = open_study(corpus, recipe, overrides or [], seeds, out, rows)
    waiting = study.waiting()
    kept = len(study.keys) - len(waiting)
    console.print(f"{len(study.keys)} runs, {kept} of them finished and kept")
    if waiting:
        with ray_session(console):
            run_study(study, console, at_once=at_once)
            if study.failures:  # raises: steps of a failed run may still be waiting for Ray
                report(study, console, plot=plot)
    report(study, console, plot=plot)


@app.command(rich_help_panel=LOOK)
def evaluate(
    run_paths: Annotated[
        list[str], Argument(metavar="RUN...", help="A run's folder, or those of several runs.")
    ],
    json_path: Annotated[str | None, Option("--json", help="Also write it to this file.")] = None,
) -> None:
    """Print a run's retrieval scores and label quality.

    They are those of the newest round that was evaluated. Of several runs,
    such as one for each trial of RegDB, it prints mean and deviation.
    """
    from pipelines.run.evaluate import print_mean, print_scores

    if len(run_paths) == 1:
        print_scores(run_paths[0], json_path, console)
    else:
        print_mean(run_paths, json_path, console)


@app.command(rich_help_panel=LOOK)
def export(
    run_path: Annotated[
        str, Argument(metavar="RUN", help="A run's folder, or that of `itkm label --corpus`.")
    ],
    out: Annotated[str, Option(help="Folder for the files.")],
    kind: Annotated[str, Option("--as", help="Their format: mot, MOTChallenge text.")] = "mot",
) -> None:
    """Write a tracker's files again, pseudo-identities as ids."""
    from pipelines.export.command import export as run_export

    run_export(run_path, kind, out, console)


app.command(rich_help_panel=CHECK)(check)


@app.command("config", rich_help_panel=CHECK)
def show_config(recipe: Recipe = DEFAULT_RECIPE, overrides: Overrides = None) -> None:
    """Print the resolved configuration."""
    resolved = load_config(recipe, overrides).model_dump(mode="json")
    console.print(yaml.safe_dump(resolved, sort_keys=False), end="")


@app.command(rich_help_panel=CHECK)
def dag(
    corpus: CorpusPath,
    recipe: Recipe = DEFAULT_RECIPE,
    mermaid: Annotated[bool, Option("--mermaid", help="As a mermaid flowchart.")] = False,
    overrides: Overrides = None,
) -> None:
    """Print a run's steps and what each of them waits for."""
    from pipelines.run.command import open_corpus, rounds_of
    from pipelines.run.dag import as_mermaid, as_text

    config = load_config(recipe, overrides)
    rounds = rounds_of(config, open_corpus(config, corpus))
    console.print(as_mermaid(rounds) if mermaid else as_text(rounds))


@app.command(rich_help_panel=CHECK)
def doctor(
    corpus: Annotated[str | None, Option(help=f"The run's corpus; {SKIPPED}")] = None,
    out: Annotated[str | None, Option(help=f"The run's folder; {SKIPPED}")] = None,
    recipe: Recipe = DEFAULT_RECIPE,
    timeout: Annotated[float, Option(min=1, help="Seconds to wait for a node's answer.")] = 60,
    overrides: Overrides = None,
) -> None:
    """Check every node for what would stop a long run.

    Takes the options of `itkm run` and computes nothing. Prints one line per
    check: ok, warn or fail. Exits with 2 if any check fails, otherwise with 0.
    """
    from pipelines.doctor.command import DoctorRequest
    from pipelines.doctor.command import doctor as run_doctor
    from pipelines.session import ray_session

    request = DoctorRequest(load_config(recipe, overrides), corpus, out, timeout)
    with ray_session(console):
        failed = run_doctor(request, console)
    if failed:
        raise typer.Exit(2)


def main(argv: list[str] | None = None) -> None:
    """The `itkm` command, with the arguments of the process unless there are others."""
    settle_streams()
    errors = Console(stderr=True)
    code: Any = 0
    heed_sigterm()
    try:
        for argument in sys.argv[1:] if argv is None else argv:
            refuse_bytes(argument)
            refuse_secrets(argument)  # before it is printed or stored
        code = app(args=argv, standalone_mode=False)
    except typer.Exit as end:
        code = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:  # noqa: BLE001 - the last resort
        if (said := users_words(error)) is not None:
            errors.print(headed("error", "red", without_secrets(said)))
            code = 2
        else:
            sys.stderr.write(without_secrets(traceback.format_exc()))
            errors.print(headed("bug", "red", "this is not your mistake; please report the above"))
            code = 1
    interrupted = code == 130  # typer also turns Ctrl-C into this, silently
    if interrupted:
        code = interrupted_code()
    try:
        if interrupted:
            errors.print(INTERRUPTED)
        console.finish()
        errors.finish()
        if console.lost:
            errors.print(headed("error", "red", f"the output is not complete: {console.lost}"))
            code = code or 2
    finally:  # the reader of a pipe may be gone, and a second signal may come
        if code:
            # Steps wait for Ray in threads that cannot be stopped; they must not delay the exit.
            os._exit(int(code))


if __name__ == "__main__":
    main()
