"""`itkm ablate` from the corpus to the table, and again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tracked_corpus import write_corpus

from itkm_core.errors import ConfigError, CorpusError, LabelError, StorageError, TrainingError
from itkm_core.storage.place import Place
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.write import write_people
from pipelines.ablate.command import Study, open_study, parse_seeds, report, run_study
from pipelines.cli import main
from pipelines.config import RunConfig
from pipelines.console import Console
from pipelines.ingest.config import IngestConfig, Source
from pipelines.ingest.make import ingest

SMALL = [
    "only=[uvi]",
    "homogeneous_rounds=1",
    "heterogeneous_rounds=1",
    "homogeneous.steps_per_round=2",
    "homogeneous.clusters_per_group=4",
    "prompts.steps=2",
    "prompts.clusters_per_group=4",
    "compute.num_extractors=1",
]


@pytest.fixture(scope="module")
def corpus(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    base = tmp_path_factory.mktemp("ablate")
    write_people(SyntheticConfig(people_train=10, people_test=4, images=4), base / "people")
    source = Source(kind="synthetic", path=str(base / "people"))
    ingest(IngestConfig(sources=[source]), str(base / "corpus"))
    return str(base / "corpus")


def study_of(corpus: str, out: Path, *overrides: str, **options: str) -> Study:
    chosen = {"seeds": "3", "rows": "", **options}
    return open_study(corpus, "tiny", [*SMALL, *overrides], out=str(out), **chosen)


def test_a_corpus_with_tracklets_has_the_rows_of_links(tmp_path: Path) -> None:
    splits = {"split": ["train", "query", "gallery"] * 2, "person": [1, 2, 2] * 2}
    for name, tracklets in (("plain", [-1] * 6), ("tracked", range(6))):
        corpus = write_corpus(tmp_path / name, **splits, tracklet=list(tracklets))
        study = study_of(corpus.root, tmp_path / f"out-{name}")
        rows = {row.name for row in study.plan.rows}
        assert {"baseline", "full"} <= rows
        assert {"links", "without-links"} & rows == (
            {"links", "without-links"} if name == "tracked" else set()
        )


@pytest.mark.ray
def test_a_run_that_fails_is_in_the_table_and_ends_the_command_at_the_end(
    corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapse(config: RunConfig, path: str, out: str, console: Console) -> None:
        raise LabelError(f"uvi/0: all noise with seed {config.seed}; lower labels.eps")

    monkeypatch.setattr("pipelines.ablate.command.run_pipeline", collapse)
    console = Console(file=io.StringIO(), width=200)
    study = study_of(corpus, tmp_path, rows="baseline,full", seeds="0,1")
    run_study(study, console)
    with pytest.raises(TrainingError, match="4 of 4 runs failed: baseline seed 0, full seed 0, "):
        report(study, console, plot=True)
    table = (tmp_path / "ablation.md").read_text()
    assert "- full, seed 1: uvi/0: all noise with seed 1; lower labels.eps" in table
    assert "all noise" in (tmp_path / "runs/full/seed-1.log").read_text()
    assert len(study_of(corpus, tmp_path, rows="baseline,full", seeds="0,1").waiting()) == 4


@pytest.mark.ray
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    corpus: str, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=r"--seeds sets the seed here: leave out the override seed="
    ):
        study_of(corpus, tmp_path, "seed=3")
    with pytest.raises(ConfigError, match="--rows names nothing"):
        study_of(corpus, tmp_path, rows="nothing")
    with pytest.raises(ConfigError, match="only names night"):
        study_of(corpus, tmp_path, "only=[night]")
    (tmp_path / "config.yaml").write_text("identity: {}")
    with pytest.raises(
        StorageError, match=r"holds 'config\.yaml', which `itkm ablate` did not write"
    ):
        study_of(corpus, tmp_path)


@pytest.mark.ray
def test_a_corpus_that_cannot_be_scored_is_refused(corpus: str, tmp_path: Path) -> None:
    bare = tmp_path / "corpus"
    record = json.loads(Place.at(f"{corpus}/corpus.json").read_bytes())
    for name, change in (("identities", {"has_identities": False}), ("query", {})):
        bare.mkdir(exist_ok=True)
        counts = [dict(row) for row in record["counts"]]
        for row in counts:
            if row["split"] == name:
                row["split"] = "gallery"  # the sums stay right
        (bare / "corpus.json").write_text(json.dumps({**record, **change, "counts": counts}))
        with pytest.raises(CorpusError, match=name):
            study_of(str(bare), tmp_path / "out")


@pytest.mark.parametrize("text", ["", "0,0", "a", "-1", "0 1"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_the_help_explains_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    main(["ablate", "--help"])
    shown = capsys.readouterr().out
    for name in ("baseline", "scenario-embedding", "single-scenario", "without-PART"):
        assert name in shown
