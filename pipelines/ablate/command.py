"""`itkm ablate`: every row of the method's ablation table as independent runs, and the resulting table.

    OUT/runs/<variant>/seed-<n>/       a run of `itkm run`; beside it seed-<n>.log with what it printed
    OUT/ablation.{json,md,png,svg}     the table, rewritten after every run

A finished run is never repeated, and an interrupted one continues. A step with the same inputs in two rows, such as
those of Stage I in rows that differ only in Stage III, is copied from the row that has it when the other starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.errors import ConfigError, CorpusError, StorageError, TrainingError
from itkm_core.storage.place import Place
from pipelines.ablate.adopt import adopt_steps
from pipelines.ablate.plan import Plan, Row, plan_rows
from pipelines.ablate.result import Key, Result, summarise
from pipelines.ablate.scores import Scores, read_scores
from pipelines.ablate.side_by_side import Job, side_by_side
from pipelines.ablate.tables import as_markdown, as_rich
from pipelines.artifacts.claim import claim
from pipelines.artifacts.hold import held
from pipelines.artifacts.labels import LABELS_FILE
from pipelines.artifacts.run_folder import RunFolder, open_run, read_run
from pipelines.config import RunConfig, load_config
from pipelines.console import Console
from pipelines.run.command import open_corpus, rounds_of, run_pipeline, start_run
from pipelines.run.dag import Kind
from pipelines.run.tables import percent
from pipelines.steps.shares import runs_at_once

TABLE = "ablation"


@dataclass(frozen=True)
class Study:
    """One ablation: what was asked for, and where its results are. Made by `open_study`."""

    recipe: str
    overrides: tuple[str, ...]
    path: str  # of the corpus, as typed
    corpus: Corpus
    seeds: tuple[int, ...]
    out: Place
    plan: Plan
    asked: tuple[Row, ...]
    scores: dict[Key, Scores] = field(default_factory=dict)
    failures: dict[Key, str] = field(default_factory=dict)

    @cached_property
    def keys(self) -> list[Key]:
        """The runs asked for, seed by seed, so that there is soon a table of one seed."""
        names = dict.fromkeys(name for row in self.asked for name in row.variants.values())
        return [(name, seed) for seed in self.seeds for name in names]

    def config(self, key: Key, share: float = 1.0) -> RunConfig:
        name, seed = key
        overrides = [*self.overrides, *self.plan.variants[name].with_seed(seed)]
        # Only if several run at a time: a single run does what `itkm run` would do.
        overrides += [f"compute.cluster_share={share}"] if share < 1 else []
        return load_config(self.recipe, overrides)

    def place(self, key: Key) -> Place:
        name, seed = key
        return self.out / "runs" / name / f"seed-{seed}"

    def collect(self, key: Key) -> bool:
        """Read the scores of a run if it is finished. Raises ConfigError for a run of another configuration."""
        place = self.place(key)
        if not (place / "config.yaml").exists():
            return False
        config = self.config(key)
        run, document = read_run(place)
        identity = {"corpus": self.corpus.digest, **config.identity()}
        if document["identity"] != identity:
            open_run(place, identity, {})  # raises with the difference
        rounds = rounds_of(config, self.corpus)
        done = [run.read(step.name) is not None for step in rounds[-1].of(Kind.EVALUATE)]
        if not all(done) or not (place / LABELS_FILE).exists():
            return False
        scenarios = config.only or self.corpus.scenarios
        self.scores[key] = read_scores(RunFolder(place), rounds, scenarios)
        return True

    def share(self, key: Key, config: RunConfig) -> list[str]:
        """Copy into this run the steps that other rows' runs with its seed have done. Returns their names."""
        name, seed = key
        others = [self.place((other, seed)) for other in self.plan.variants if other != name]
        donors = [RunFolder(place) for place in others if (place / "config.yaml").exists()]
        corpus = narrow(self.corpus, config.only)
        run = start_run(self.place(key), config, corpus)
        return adopt_steps(run, config, corpus, rounds_of(config, corpus), donors)

    def waiting(self) -> list[Job]:
        """The runs asked for that are not finished yet."""
        return [
            Job(number, len(self.keys), *key, self.out / "runs" / key[0] / f"seed-{key[1]}.log")
            for number, key in enumerate(self.keys, start=1)
            if key not in self.scores
        ]


def open_study(
    corpus: str, recipe: str, overrides: Sequence[str], seeds: str, out: str, rows: str
) -> Study:
    """Plan an ablation and find out which of its runs are done. Needs no Ray.

    seeds, rows: comma-separated, as on the command line; no rows means all.

    Raises:
        ConfigError: invalid seeds, rows or overrides, or `out` holds runs of another configuration.
        CorpusError: no corpus, or one whose scenarios cannot be scored.
        StorageError: as `claim`.
    """
    if any(override.partition("=")[0] == "seed" for override in overrides):
        raise ConfigError("--seeds sets the seed here: leave out the override seed=...")
    whole = open_corpus(load_config(recipe, list(overrides)), corpus)
    _check_scored(whole)
    plan = plan_rows(recipe, overrides, whole.scenarios, tracklets=whole.has_tracklets)
    names = [name.strip() for name in rows.split(",") if name.strip()]
    asked = plan.chosen(names)
    parsed = parse_seeds(seeds)
    place = claim(Place.at(out), "ablate", unmarked=_has_table)
    study = Study(recipe, tuple(overrides), corpus, whole, parsed, place, plan, asked)
    for name in plan.variants:  # also of rows not asked for: the table shows all there is
        for seed in parsed:
            study.collect((name, seed))
    return study


def _has_table(place: Place) -> bool:
    """Whether an ablation made before output folders were marked is there."""
    table = place / f"{TABLE}.json"
    try:
        found = table.read_json() if table.exists() else None
    except StorageError:
        return False
    return isinstance(found, dict) and "rows" in found and "seeds" in found


def run_study(study: Study, console: Console, *, at_once: int | None = None) -> None:
    """Run what is not finished; Ray must be connected. Failures are recorded in the study.

    The table is written after each run, so that it can be read while the others continue.

    Raises:
        StorageError: another ablation is at work in its folder.
    """
    import ray

    jobs = study.waiting()
    compute = load_config(study.recipe, list(study.overrides)).compute
    beside = runs_at_once(ray.cluster_resources(), compute, len(jobs), at_once)
    console.print(f"{len(jobs)} runs, {beside} at a time")

    def work(job: Job, log: Console) -> None:
        key = (job.name, job.seed)
        config = study.config(key, 1 / beside)
        shared = study.share(key, config)
        log.print(f"{len(shared)} steps copied from other rows")
        run_pipeline(config, study.path, study.place(key).uri, log)

    def on_end(job: Job) -> str:
        if not study.collect((job.name, job.seed)):
            return ""
        write_tables(study)
        scores = study.scores[job.name, job.seed]
        return "mAP " + ", ".join(f"{name} {percent(s['mean_ap'])}" for name, s in scores.items())

    with held(study.out, console.print):
        failures = side_by_side(jobs, work, at_once=beside, console=console, on_end=on_end)
    study.failures.update(failures)


def write_tables(study: Study) -> Result:
    """Write ablation.json and ablation.md for the finished runs. Returns the contents of the first."""
    result = {
        "recipe": study.recipe,
        "command": _command(study),
        "corpus": study.corpus.digest,
        "synthetic": study.corpus.record.get("synthetic", []),
        **summarise(
            study.plan,
            study.seeds,
            study.corpus.scenarios,
            study.scores,
            study.failures,
            study.asked,
        ),
    }
    (study.out / f"{TABLE}.json").write_json(result)
    (study.out / f"{TABLE}.md").write_bytes(as_markdown(result).encode(errors="replace"))
    return result


def report(study: Study, console: Console, *, plot: bool) -> None:
    """Write all files and print the table.

    Raises:
        ConfigError: a plot is wanted, and matplotlib is not installed.
        TrainingError: runs failed; it says which.
    """
    from pipelines.ablate.plot import plot as draw

    result = write_tables(study)
    suffixes = ["json", "md"]
    if plot and study.scores:
        for name, data in draw(result).items():
            (study.out / f"{TABLE}.{name}").write_bytes(data)
            suffixes.append(name)
    console.print(as_rich(result, f"ablation of {study.recipe}, {_seeds(study)}"))
    files = f"{TABLE}.{{{','.join(suffixes)}}}"
    console.print(f"{'table':<22} {study.out / files}")
    if study.failures:
        names = ", ".join(f"{name} seed {seed}" for name, seed in study.failures)
        raise TrainingError(
            f"{len(study.failures)} of {len(study.keys)} runs failed: {names}. {TABLE}.md says why; the same "
            "command retries them and keeps the others"
        )


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0,1,2` as numbers. Raises ConfigError for anything else."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds is {text!r}; expected distinct integers >= 0, such as 0,1,2")
    return seeds


def _check_scored(corpus: Corpus) -> None:
    if not corpus.has_identities:
        raise CorpusError(
            f"the corpus at {corpus.root} has no identities, and an ablation compares scores: ingest it from a "
            "source that has them"
        )
    parts = {(scenario, split) for scenario, _, split in corpus.counts}
    for scenario in corpus.scenarios:
        missing = [part for part in ("train", "query", "gallery") if (scenario, part) not in parts]
        if missing:
            raise CorpusError(
                f"scenario {scenario} has no images with split {' or '.join(missing)}; leave it out with "
                "only=[...], or ingest them"
            )


def _command(study: Study) -> str:
    words = ["itkm ablate --corpus", study.path, "--recipe", study.recipe, "--seeds"]
    return " ".join([*words, ",".join(map(str, study.seeds)), *study.overrides])


def _seeds(study: Study) -> str:
    return ("seed " if len(study.seeds) == 1 else "seeds ") + ", ".join(map(str, study.seeds))
