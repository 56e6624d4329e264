"""`itkm run`: the rounds of Stage I and Stage III, then labels from the finished encoder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.errors import CorpusError
from itkm_core.storage.place import Place
from pipelines.artifacts.hold import held
from pipelines.artifacts.labels import LABELS_FILE, read_labels
from pipelines.artifacts.run_folder import RunFolder, open_run
from pipelines.artifacts.tracklets import TRACKLETS_FILE, corpus_tracklets
from pipelines.config import RunConfig
from pipelines.console import Console, headed
from pipelines.run.dag import Kind, Round, plan_rounds
from pipelines.run.engine import is_finished, run_round
from pipelines.run.steps import RunContext
from pipelines.run.tables import gain_tables, print_round, print_step
from pipelines.steps.links import plan_links
from pipelines.telemetry.display import ProgressDisplay
from pipelines.telemetry.handle import Telemetry


def open_corpus(config: RunConfig, path: str) -> Corpus:
    """The corpus at `path`, restricted to the scenarios of `config.only`.

    Raises:
        CorpusError: there is none.
        ConfigError: the configuration names a scenario or group that is not in it.
    """
    corpus = Corpus.open(path)
    config.check_names(corpus.groups("train"))
    return narrow(corpus, config.only)


def rounds_of(config: RunConfig, corpus: Corpus) -> list[Round]:
    """The DAG of this configuration on this corpus.

    Raises:
        ConfigError: `only` names a scenario that is not in the corpus.
        CorpusError: the corpus has no training images.
    """
    corpus = narrow(corpus, config.only)
    groups = corpus.groups("train")
    if not groups:
        raise CorpusError(f"the corpus at {corpus.root} has no images with split train")
    evaluate = None
    if corpus.has_identities:
        evaluate = "every" if config.evaluate_every_round else "ends"
    return plan_rounds(
        groups,
        config.homogeneous_rounds,
        config.heterogeneous_rounds,
        text=config.needs_text,
        matching=config.needs_matches,
        moving_text=config.components.dru,
        frozen=config.compares_frozen,
        evaluate=evaluate,
    )


def start_run(place: Place, config: RunConfig, corpus: Corpus) -> RunFolder:
    """The run of this configuration on this (narrowed) corpus at `place`, new or continued. Raises as `open_run`."""
    identity = {"corpus": corpus.digest, **config.identity()}
    return open_run(place, identity, {"corpus": corpus.root, **config.model_dump(mode="json")})


def run_pipeline(
    config: RunConfig,
    corpus_path: str,
    out: str,
    console: Console,
    *,
    connect: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> RunFolder:
    """Run (or continue) a whole run.

    Leaves pseudo_labels.parquet (sample_id, scenario, group, label, is_core, confidence), tracklets.parquet if the
    corpus has tracklets, and the last round's checkpoint in the run folder, and prints the tables of gains.

    connect: a connection to Ray for the block, made once nothing speaks against the run and if a step is left to
        do; without it Ray must be connected already.

    Raises: as `open_corpus`, `rounds_of`, `open_run` and `held`, before Ray is needed, and what the steps raise.
    """
    corpus = open_corpus(config, corpus_path)
    rounds = rounds_of(config, corpus)
    place = start_run(Place.at(out), config, corpus).place
    with held(place, console.print):
        run = start_run(place, config, corpus)  # another may have been started there meanwhile
        context = RunContext(
            config, corpus, run, links=plan_links(config, corpus), needs_text=config.needs_text
        )
        if is_finished(context, rounds):
            _run_rounds(context, rounds, console)
        else:
            with connect():
                _run_rounds(replace(context, telemetry=Telemetry.start()), rounds, console)
        _finish(run, corpus, rounds, console)
    return run


def _finish(run: RunFolder, corpus: Corpus, rounds: Sequence[Round], console: Console) -> None:
    """Write the labels of the finished encoder, and print what was gained and where everything is."""
    every = [read_labels(run.step(step.name)) for step in rounds[-1].of(Kind.LABEL)]
    labels = pa.concat_tables(every).sort_by("sample_id")
    (run.place / LABELS_FILE).write_table(labels)
    tracklets = corpus_tracklets(corpus, labels)
    if tracklets is not None:
        (run.place / TRACKLETS_FILE).write_table(tracklets)
    for table in gain_tables(run, rounds):
        console.print(table)
    for what, path in (
        ("pseudo-labels", run.place / LABELS_FILE),
        *([] if tracklets is None else [("tracklets", run.place / TRACKLETS_FILE)]),
        ("encoder", run.step(rounds[-2].one(Kind.TRAIN).name) / "checkpoint"),
        ("numbers of every step", run.place / "metrics.jsonl"),
        ("run", run.place),
    ):
        _print_line(console, what, _shown(path))


def _run_rounds(context: RunContext, rounds: Sequence[Round], console: Console) -> None:
    names: list[str] = []
    with ProgressDisplay(context.telemetry, console):
        for each in rounds:
            console.print(headed(each.folder, "bold"))
            manifests = run_round(
                context,
                each,
                on_done=lambda step, manifest, reused: print_step(console, step, manifest, reused),
            )
            names += [step.name for step in each.steps]
            context.run.write_metrics(names)
            print_round(console, each, manifests)


def print_next(console: Console, run: RunFolder, *, scored: bool, tracked: bool = False) -> None:
    """What to do after a run, as commands to copy.

    scored: the corpus has identities to compare with. tracked: it was made from a tracker's files.
    """
    typed = Path(sys.argv[0])  # a demo's `itkm` is in a virtual environment that need not be active
    itkm = str(typed) if typed.name == "itkm" and not typed.is_absolute() else "itkm"
    console.print("\nNext")
    if scored:
        _print_line(console, "all scores", f"{itkm} evaluate {_shown(run.place)}")
    if tracked:
        words = f"{itkm} export {_shown(run.place)} --as mot --out identities"
        _print_line(console, "the tracker's files", words)
    _print_line(console, "your own pictures", f"{itkm} ingest --as folder PATH --out corpus")
    _print_line(console, "what to read", "README.md, docs/corpus.md, docs/evaluation.md")


def _print_line(console: Console, what: str, where: str) -> None:
    console.print(f"{what:<22} {where}")


def _shown(place: Place) -> str:
    """A place below the working directory as a relative path, any other in full."""
    path = Path(str(place))
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(place)
