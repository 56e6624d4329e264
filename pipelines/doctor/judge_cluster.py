"""Verdicts of `itkm doctor` on what nodes share: their software, the storage, the corpus, the weights.

Pure functions of facts (see `probe.py`), keyed by node name. Each check gives one line, whatever the number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail"]
Facts = Mapping[str, Any]
"""By node name."""

SHOWN = 5
"""The number of nodes that a line names; further ones are counted."""

DECISIVE = ("ray", "torch", "torchvision", "itkm", "itkm's code")
"""Packages whose versions must be the same everywhere; others can change only the last bits of results. [ours]

torchvision: each version is built for one version of torch, and may not import with another. faiss and cuML are not
listed: faiss only proposes neighbours, cuML only joins core images, and our own code decides.
"""


@dataclass(frozen=True)
class Line:
    """A verdict. seen: what was found; advice: what to do about it, empty if there is nothing to do."""

    verdict: Verdict
    check: str
    seen: str
    advice: str = ""


def few(names: Iterable[str]) -> str:
    """`names`, or the first few and the number of others."""
    known = list(names)
    more = len(known) - SHOWN
    return ", ".join(known[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def by_value(values: Mapping[str, Any]) -> dict[Any, list[str]]:
    """The names with each value; the most common value comes first."""
    found: dict[Any, list[str]] = {}
    for name, value in values.items():
        found.setdefault(value, []).append(name)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def spread(values: Mapping[str, Any]) -> str:
    """Which names have which value, as in `2.11 on a, b; 2.15 on c`, or the first few of them."""
    parts = [f"{value} on {few(names)}" for value, names in by_value(values).items()]
    more = len(parts) - SHOWN
    return "; ".join(parts[:SHOWN]) + (f"; and {more} more such" if more > 0 else "")


def errors_of(facts: Facts, part: str) -> dict[str, str]:
    """What went wrong with `part`, by node name."""
    return {
        name: each[part]["error"] for name, each in facts.items() if "error" in each.get(part, {})
    }


def could_not(check: str, errors: Mapping[str, str], advice: str) -> Line:
    return Line("fail", check, spread(errors), advice)


def judge_nodes(
    names: Sequence[str], silent: Mapping[str, str], total: Mapping[str, float], *, tasks: int
) -> Line:
    """total: the cluster's resources. silent: why nodes gave no answer. tasks: the number of nodes that take tasks."""
    if silent:
        return Line(
            "fail",
            "nodes",
            f"{len(silent)} of {len(names)} do not answer: {spread(silent)}",
            "look at their raylet and worker logs, remove them from the cluster, or raise --timeout",
        )
    cpus, gpus = total.get("CPU", 0), total.get("GPU", 0)
    seen = f"{len(names)} with {cpus:g} CPUs and {gpus:g} GPUs: {few(names)}"
    if not tasks:
        return Line(
            "fail", "nodes", f"{seen}, none of which gives Ray a CPU", "add a machine that does"
        )
    return Line("ok", "nodes", seen)


def judge_versions(found: Mapping[str, Mapping[str, str | None]]) -> Line:
    """found: `versions()` of each node and of this command. None: missing; packages that are left out are optional."""
    packages = list(dict.fromkeys(package for each in found.values() for package in each))
    parts, decisive = [], False
    everywhere: list[str] = []
    somewhere: list[str] = []
    for package in packages:
        values = {
            name: each[package] or "missing" for name, each in found.items() if package in each
        }
        if len(set(values.values())) == 1 and "missing" not in values.values():
            same = everywhere if len(values) == len(found) else somewhere
            same.append(f"{package} {next(iter(values.values()))}")
            continue
        parts.append(f"{package} {spread(values)}")
        minors = {value.rpartition(".")[0] for value in values.values()}
        python = package == "python" and len(minors) > 1
        decisive |= python or package in DECISIVE or "missing" in values.values()
    if parts:
        advice = "install the same versions everywhere, such as one container image for all nodes"
        return Line("fail" if decisive else "warn", "versions", "; ".join(parts), advice)
    seen = f"{', '.join(everywhere)}, on every node and here"
    if somewhere:
        seen += f"; where installed, {', '.join(somewhere)}"
    return Line("ok", "versions", seen)


def judge_token(facts: Facts) -> Line:
    without = [name for name, each in facts.items() if not each["token"]]
    if not without:
        return Line("ok", "token", "every node requires Ray's token")
    return Line(
        "warn",
        "token",
        f"Ray was started without token authentication on {few(without)}",
        "anyone who reaches its ports can run code there: start Ray with RAY_AUTH_MODE=token (docs/security.md)",
    )


def judge_out(out: str, failed: Mapping[str, str], seen: Mapping[str, Sequence[str]]) -> Line:
    """failed: why nodes could not write or read. seen: the nodes whose files each node found."""
    advice = "give an --out that all nodes share and can write: a mounted folder, s3:// or gs://"
    if failed:
        return Line("fail", "out", f"{out} cannot be used: {spread(failed)}", advice)
    views = by_value({name: tuple(sorted(others)) for name, others in seen.items()})
    if list(views) == [tuple(sorted(seen))]:
        return Line("ok", "out", f"{out}: every node wrote a file that every node read")
    alone = [name for name, others in seen.items() if tuple(others) == (name,)]
    if len(alone) == len(seen):
        what = f"is a separate folder on each of {few(alone)}"
    else:
        what = "is not one place: " + "; ".join(
            f"{few(names)} read what {few(others) or 'none'} wrote"
            for others, names in list(views.items())[:SHOWN]
        )
    return Line("fail", "out", f"{out} {what}", advice)


def judge_corpus(
    place: str, digest: str, summary: str, missing: Sequence[str], facts: Facts
) -> Line:
    """summary: its contents in words. missing: shards listed in corpus.json that are not there."""
    if missing:
        seen = f"{place} lacks {len(missing)} of its shards: {few(missing)}"
        return Line("fail", "corpus", seen, "ingest it again, or copy all of it")
    errors = errors_of(facts, "corpus")
    if errors:
        advice = "put it where all nodes can read it: a mounted folder, s3:// or gs://"
        return could_not("corpus", errors, advice)
    digests = {name: each["corpus"]["digest"] for name, each in facts.items()}
    if set(digests.values()) - {digest}:
        advice = "the same path holds different corpora: copy one to all nodes, or share one"
        return Line("fail", "corpus", f"{place}: digest {spread(digests)}; {digest} here", advice)
    read = "every node opened it and read the end of a shard, all shards are there; no picture was read"
    return Line("ok", "corpus", f"{place}: {summary}, digest {digest}; {read}")


def judge_model(name: str, facts: Facts) -> Line:
    """facts: those of the nodes that encode pictures."""
    errors = errors_of(facts, "model")
    missing = {
        node: each["model"]["missing"] for node, each in facts.items() if "missing" in each["model"]
    }
    if errors or missing:
        advice = "put the weights on every node, at the same path or in the hub's cache, or set model.pretrained"
        return could_not("model", {**errors, **missing}, advice)
    digests = {
        node: each["model"]["digest"] for node, each in facts.items() if "digest" in each["model"]
    }
    if len(set(digests.values())) > 1:
        advice = "copy one file to all nodes: features of different weights cannot be compared"
        return Line("fail", "model", f"{name}: the weights differ: {spread(digests)}", advice)
    later = [node for node in facts if node not in digests]
    if later:
        seen = f"{name}: not yet on {few(later)}, which can download it from the hub"
        return Line("ok", "model", seen)
    same = next(iter(digests.values()))
    return Line("ok", "model", f"{name}: the same weights on every node that takes tasks, {same}")
