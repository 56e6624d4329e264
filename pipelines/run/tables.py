"""What the terminal shows of a run: a line a step, a line a round, and the table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from itkm_core.clustering.footprint import gigabytes
from pipelines.artifacts.run_folder import Manifest, RunFolder
from pipelines.run.dag import Kind, Round, Step


def print_step(console: Console, step: Step, manifest: Manifest, reused: bool) -> None:
    """One line for a step that ended."""
    how = "reused" if reused else f"{manifest.seconds:6.1f} s"
    line = f"  {step.title:<18} {how:>9}  {_of_step(step, manifest.facts)}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    if manifest.facts.get("warning"):
        console.print("  warning: " + manifest.facts["warning"], markup=False, soft_wrap=True)


def _of_step(step: Step, facts: Mapping[str, Any]) -> str:
    match step.kind:
        case Kind.EXTRACT | Kind.FROZEN:
            return f"{facts['images']:,} images, {facts['actors']} encoders"
        case Kind.LABEL:
            agreement = facts["agreement"]
            moved = "" if agreement is None else f", agreement {agreement:.3f}"
            chosen = f", eps {facts['eps']:g} (auto)" if facts.get("eps_reason") else ""
            needed = facts.get("memory_bytes")
            memory = "" if needed is None else f", about {gigabytes(needed)} of memory"
            return (
                f"{facts['clusters']:,} clusters, outliers {100 * facts['outlier_share']:.1f} %, "
                f"largest {100 * facts['largest_share']:.1f} %{moved}{chosen}{memory}"
            )
        case Kind.PROMPTS:
            before, after = facts["scenario_cosine_before"], facts["scenario_cosine"]
            apart = f"between-scenario cosine {before:.2f} -> {after:.2f}, " if before else ""
            share = 100 * facts["own_prompt_share"]
            return f"{facts['prompts']:,} prompts, own nearest {share:.0f} %, {apart}{_of_training(facts)}"
        case Kind.MATCH:
            return _of_match(facts)
        case Kind.TRAIN:
            return _of_training(facts)
        case Kind.EVALUATE:
            rows = facts["retrieval"]
            scores = [
                f"{r['scenario']} {r['query_group']}->{r['gallery_group']} {percent(r['mean_ap'])}"
                for r in rows
            ]
            return "mAP " + ", ".join(scores) if rows else "no query and gallery images"


def _of_training(facts: Mapping[str, Any]) -> str:
    if facts["loss"] is None:  # cut off behind its last step: nothing was left to do
        return "no step was left"
    return (
        f"loss {facts['first_loss']:.3f} -> {facts['loss']:.3f}, "
        f"{facts['images_per_second']:,.0f} images/s, "
        f"{facts['start_seconds']:.1f} s to start the workers"
    )


def _of_match(facts: Mapping[str, Any]) -> str:
    parts = ["texts updated"] if facts["text"] else []
    clusters, instances = facts.get("clusters"), facts.get("instances")
    if clusters is not None:
        parts.append(f"{clusters['num_pairs']:,} matched, {clusters['num_reliable']:,} reliable")
        if clusters["mutual_share"] is not None:
            parts.append(f"{100 * clusters['mutual_share']:.0f} % mutual best")
        if clusters["image_text_agreement"] is not None:
            parts.append(f"image/text agreement {100 * clusters['image_text_agreement']:.0f} %")
    if instances is not None:
        images = sum(side["num_images"] for side in instances)
        positives = sum(side["num_images"] * (side["mean_size"] or 0.0) for side in instances)
        parts.append(f"{positives / max(images, 1):.1f} instance positives an image")
    return ", ".join(parts)


def _matches_right(evaluation: Mapping[str, Any]) -> str:
    """How right a round's matches are, a scenario after the other; empty where none were scored."""
    parts = []
    for scenario, scores in evaluation.get("matches", {}).items():
        words = []
        if "clusters" in scores:
            found = scores["clusters"]
            words.append(
                f"{percent(found['accuracy'])} (reliable {percent(found['reliable_accuracy'])})"
            )
        if "instances" in scores:
            precisions = [percent(side["image_precision"]) for side in scores["instances"]]
            words.append(f"instances {'/'.join(precisions)}")
        if words:
            parts.append(f"{scenario} {' '.join(words)}")
    return "matches right " + ", ".join(parts) if parts else ""


def print_round(console: Console, each: Round, manifests: Mapping[str, Manifest]) -> None:
    """The round in one line: clusters, outliers, largest cluster, agreement, loss, matches, seconds."""
    labels = [manifests[step.name].facts for step in each.of(Kind.LABEL)]
    images = sum(facts["images"] for facts in labels)
    share = sum(facts["outlier_share"] * facts["images"] for facts in labels) / max(images, 1)
    agreements = [facts["agreement"] for facts in labels if facts["agreement"] is not None]
    parts = [
        f"{sum(facts['clusters'] for facts in labels):,} clusters",
        f"outliers {100 * share:.1f} %",
        f"largest {100 * max(facts['largest_share'] for facts in labels):.1f} %",
    ]
    if agreements:
        parts.append(f"agreement (AMI) {sum(agreements) / len(agreements):.3f}")
    for step in each.of(Kind.TRAIN):
        loss = manifests[step.name].facts["loss"]
        parts += [] if loss is None else [f"loss {loss:.3f}"]
    for step in each.of(Kind.EVALUATE):
        right = _matches_right(manifests[step.name].facts)
        parts += [right] if right else []
    seconds: dict[str, float] = {}
    for step in each.steps:
        longest = seconds.get(step.kind.value, 0.0)
        seconds[step.kind.value] = max(longest, manifests[step.name].seconds)
    parts.append(" ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    line = f"[bold]{each.folder}[/] " + " · ".join(parts)
    console.print(line, highlight=False, soft_wrap=True)


def evaluation_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Retrieval per scenario and direction."""
    table = Table(title=title, title_justify="left")
    for name in ("scenario", "query -> gallery"):
        table.add_column(name)
    names = ("mAP", "mINP", "rank-1", "rank-5", "rank-10", "queries", "skipped")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        scores = [row["mean_ap"], row["mean_inp"], row["rank_1"], row["rank_5"], row["rank_10"]]
        table.add_row(
            row["scenario"],
            f"g={row['query_group']} -> g={row['gallery_group']}",
            *[percent(score) for score in scores],
            f"{row['num_queries']:,}",
            f"{row['num_skipped']:,}",
        )
    return table


def quality_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Pseudo-labels against identities, per (scenario, group)."""
    table = Table(title=title, title_justify="left")
    table.add_column("scenario/group")
    names = ("ARI", "NMI", "clustered", "purity", "clusters", "persons")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        scores = [percent(row[key]) for key in ("ari", "nmi", "coverage", "purity")]
        table.add_row(row["group"], *scores, f"{row['num_clusters']:,}", f"{row['num_persons']:,}")
    return table


def gain_table(run: RunFolder, rounds: Sequence[Round]) -> Table:
    """Per scenario, zero-shot against after: mAP and rank-1, ARI where known, clusters, outliers."""
    first, last = rounds[0], rounds[-1]
    table = Table(title="zero-shot -> after training", title_justify="left")
    for name in ("scenario", "", "mAP", "rank-1", "ARI", "clusters", "outliers"):
        table.add_column(name, justify="left" if name in ("scenario", "") else "right")
    scenarios = list(dict.fromkeys(step.scenario for step in first.of(Kind.LABEL)))
    before, after = evaluation_of(run, first), evaluation_of(run, last)
    for scenario in scenarios:
        for row, end in _paired(before["retrieval"], after["retrieval"], scenario):
            table.add_row(
                scenario,
                f"{row['query_group']}->{row['gallery_group']}",
                _moved(row["mean_ap"], end["mean_ap"]),
                _moved(row["rank_1"], end["rank_1"]),
            )
        for step, final in zip(first.of(Kind.LABEL), last.of(Kind.LABEL), strict=True):
            if step.scenario != scenario:
                continue
            start, done = run.read(step.name), run.read(final.name)
            assert start is not None
            assert done is not None
            key = step.block.name
            table.add_row(
                scenario,
                f"group {step.group}",
                "",
                "",
                _moved(_ari(before, key), _ari(after, key)),
                f"{start.facts['clusters']:,} -> {done.facts['clusters']:,}",
                _moved(start.facts["outlier_share"], done.facts["outlier_share"]),
            )
        table.add_section()
    return table


def percent(value: float | None, *, sign: bool = False) -> str:
    """A fraction as `34.5`, with `sign` as `+34.5`; `-` for none."""
    if value is None:
        return "-"
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def _moved(before: float | None, after: float | None) -> str:
    if before is None and after is None:
        return ""
    return f"{percent(before)} -> {percent(after)}"


def evaluation_of(run: RunFolder, each: Round) -> dict[str, Any]:
    """Facts of the round's evaluate step, which are those of its evaluation.json; lists are empty without one."""
    steps = each.of(Kind.EVALUATE)
    manifest = run.read(steps[0].name) if steps else None
    return manifest.facts if manifest is not None else {"retrieval": [], "labels": []}


def _paired(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], scenario: str
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    pairs = zip(before, after, strict=True)
    return [(row, end) for row, end in pairs if row["scenario"] == scenario]


def _ari(evaluation: Mapping[str, Any], key: str) -> float | None:
    return next((row["ari"] for row in evaluation["labels"] if row["group"] == key), None)
