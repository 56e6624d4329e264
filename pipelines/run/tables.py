"""What a run prints: a line per step, a line per round, and the tables at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from itkm_core.clustering.footprint import gigabytes
from pipelines.artifacts.run_folder import Manifest, RunFolder
from pipelines.console import Console, headed
from pipelines.run.dag import Kind, Round, Step
from pipelines.steps.evaluate import headlines

# Headings of first columns: `uvi 1->0`, from the query's group to the gallery's, and `uvi/1`.
DIRECTION, BLOCK = "query->gallery", "scenario/group"


def print_step(console: Console, step: Step, manifest: Manifest, reused: bool) -> None:
    """One line for a finished step."""
    how = "reused" if reused else f"{manifest.seconds:6.1f} s"
    line = f"  {step.title:<18} {how:>9}  {_of_step(step, manifest.facts)}"
    console.print(line)
    if manifest.facts.get("warning"):
        console.print("  warning: " + manifest.facts["warning"])


def _of_step(step: Step, facts: Mapping[str, Any]) -> str:
    match step.kind:
        case Kind.EXTRACT | Kind.FROZEN:
            return f"{facts['images']:,} images, {facts['actors']} encoders"
        case Kind.LABEL:
            agreement = facts["agreement"]
            moved = "" if agreement is None else f", agreement {agreement:.3f}"
            chosen = f", k1 {facts['k1']} (auto)" if facts.get("k1_reason") else ""
            chosen += f", eps {facts['eps']:g} (auto)" if facts.get("eps_reason") else ""
            needed = facts.get("memory_bytes")
            memory = "" if needed is None else f", about {gigabytes(needed)} of memory"
            return (
                f"{facts['clusters']:,} clusters, outliers {100 * facts['outlier_share']:.1f} %, "
                f"largest {100 * facts['largest_share']:.1f} %{moved}{_of_errors(facts)}{chosen}{memory}"
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
            rows = headlines(facts["retrieval"])
            scores = [f"{_direction(row)} {percent(row['mean_ap'])}" for row in rows]
            return "mAP " + ", ".join(scores) if rows else "no query and gallery images"


def _of_errors(facts: Mapping[str, Any]) -> str:
    """What tracklets say about the labels: see `itkm_core.clustering.link_errors`."""
    words = [
        f"{name} {percent(facts[key])} %"
        for name, key in (("merge errors", "merge_errors"), ("split errors", "split_errors"))
        if facts.get(key) is not None
    ]
    return "".join(f", {each}" for each in words)


def _of_training(facts: Mapping[str, Any]) -> str:
    if facts["loss"] is None:  # a run stopped after its last step and continued
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
        by_chance = clusters.get("by_chance")
        some = "" if by_chance is None else f" (strangers alone: about {by_chance:.0f})"
        parts.append(
            f"{clusters['num_pairs']:,} matched, {clusters['num_reliable']:,} reliable{some}"
        )
        if clusters["mutual_share"] is not None:
            parts.append(f"{100 * clusters['mutual_share']:.0f} % mutual best")
        if clusters["image_text_agreement"] is not None:
            parts.append(f"image/text agreement {100 * clusters['image_text_agreement']:.0f} %")
    if instances is not None:
        images = sum(side["num_images"] for side in instances)
        positives = sum(side["num_images"] * (side["mean_size"] or 0.0) for side in instances)
        parts.append(f"{positives / max(images, 1):.1f} instance positives per image")
    return ", ".join(parts)


def _matches_right(evaluation: Mapping[str, Any]) -> str:
    """How many of a round's matches are correct, per scenario; empty if none were scored."""
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
    return "correct matches " + ", ".join(parts) if parts else ""


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
    console.print(headed(each.folder, "bold", " · ".join(parts)))


def evaluation_tables(result: Mapping[str, Any], step: str) -> list[Table]:
    """All scores of an evaluate step, over images and, where the corpus has them, over tracklets."""
    tables = [
        evaluation_table(result["retrieval"], f"retrieval, {step}"),
        quality_table(result["labels"], f"pseudo-labels, {step}"),
    ]
    if any("open_set_auc" in row for row in result["retrieval"]):  # an earlier release's have none
        tables.insert(1, threshold_table(result["retrieval"], f"thresholds, {step}"))
    tracklets = result.get("tracklets", {})
    if tracklets.get("retrieval"):
        title = f"retrieval of tracklets, {step}"
        tables.append(evaluation_table(tracklets["retrieval"], title))
    if tracklets.get("labels"):
        tables.append(quality_table(tracklets["labels"], f"pseudo-labels of tracklets, {step}"))
    return tables


def evaluation_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Retrieval per scenario and direction, from the query's group to the gallery's; scores in %.

    A row of a protocol has its setting below the direction, and where scores are means, the sample deviation.
    """
    names = ("mAP", "mINP", "rank-1", "rank-5", "rank-10", "queries")
    table = _table(title, DIRECTION, *names)
    for row in rows:
        first = "\n".join([_direction(row), *([row["name"]] if "name" in row else [])])
        keys = ("mean_ap", "mean_inp", "rank_1", "rank_5", "rank_10")
        table.add_row(first, *(_score(row, key) for key in keys), f"{row['num_queries']:,}")
    left_out = [
        f"{' '.join([_direction(row), row.get('name', '')]).strip()} {row['num_skipped']:,}"
        for row in rows
        if row["num_skipped"]
    ]
    if left_out:
        table.caption = f"queries without a match, left out: {', '.join(left_out)}"
    return table


def threshold_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """What a threshold on the score can do, per row of retrieval; errors in %, and the score where they are equal."""
    names = ("FNMR at FMR 1 %", "0.1 %", "new: AUC", "error", "at score")
    table = _table(title, DIRECTION, *names)
    for row in rows:
        keys = ("fnmr_at_fmr_0.01", "fnmr_at_fmr_0.001", "open_set_auc", "new_person_error")
        threshold = row["new_person_threshold"]
        first = "\n".join([_direction(row), *([row["name"]] if "name" in row else [])])
        scores = [_score(row, key) for key in keys]
        table.add_row(first, *scores, "-" if threshold is None else f"{threshold:.3f}")
    return table


def quality_table(rows: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Pseudo-labels against identities, per (scenario, group); scores in %."""
    names = ("ARI", "NMI", "clustered", "purity", "clusters", "persons")
    table = _table(title, BLOCK, *names)
    for row in rows:
        scores = [percent(row[key]) for key in ("ari", "nmi", "coverage", "purity")]
        table.add_row(row["group"], *scores, f"{row['num_clusters']:,}", f"{row['num_persons']:,}")
    return table


def gain_tables(run: RunFolder, rounds: Sequence[Round]) -> list[Table]:
    """Scores of the first round and the last: retrieval, if there are queries, and pseudo-labels."""
    before, after = (evaluation_of(run, each) for each in (rounds[0], rounds[-1]))
    retrieval = _table("retrieval: zero-shot -> trained, %", DIRECTION, "mAP", "rank-1")
    rows = [headlines(evaluation["retrieval"]) for evaluation in (before, after)]
    for row, end in zip(*rows, strict=True):
        scores = [_moved(row[key], end[key]) for key in ("mean_ap", "rank_1")]
        retrieval.add_row(_direction(row), *scores)
    names = ("ARI %", "clusters", "outliers %")
    labels = _table("pseudo-labels: zero-shot -> trained", BLOCK, *names)
    for first, last in zip(rounds[0].of(Kind.LABEL), rounds[-1].of(Kind.LABEL), strict=True):
        start, done = run.read(first.name), run.read(last.name)
        assert start is not None
        assert done is not None
        name = first.block.name
        labels.add_row(
            name,
            _moved(_ari(before, name), _ari(after, name)),
            f"{start.facts['clusters']:,} -> {done.facts['clusters']:,}",
            _moved(start.facts["outlier_share"], done.facts["outlier_share"]),
        )
    return [table for table in (retrieval, labels) if table.row_count]


def _table(title: str, first: str, *numbers: str) -> Table:
    """A table of numbers whose first column, of names, gives way on a narrow terminal."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _direction(row: Mapping[str, Any]) -> str:
    return f"{row['scenario']} {row['query_group']}->{row['gallery_group']}"


def _score(row: Mapping[str, Any], key: str) -> str:
    deviation = row.get("std", {}).get(key)
    return percent(row[key]) + ("" if deviation is None else f"\n±{percent(deviation)}")


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


def _ari(evaluation: Mapping[str, Any], key: str) -> float | None:
    return next((row["ari"] for row in evaluation["labels"] if row["group"] == key), None)
