"""Verdicts of `itkm doctor` on what nodes share: their software, the storage, the corpus, the weights.

Pure functions of facts (`probe.py`), by the names of nodes. One line a check, whatever the number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail"]
Facts = Mapping[str, Any]
"""By the name of a node."""

SHOWN = 5
"""Nodes that a line names; the others it counts."""

DECISIVE = ("ray", "torch", "torchvision", "itkm", "itkm's code")
"""Packages whose versions must be the same; others may change last bits only. [ours]

torchvision: each is made for one torch, and may not import with another. faiss and cuML are not among them: faiss only
proposes neighbours, cuML only joins core images, and what counts is decided in code of ours.
"""


@dataclass(frozen=True)
class Line:
    """A verdict. seen: what was found; advice: what to do about it, empty where there is nothing to do."""

    verdict: Verdict
    check: str
    seen: str
    advice: str = ""


def few(names: Iterable[str]) -> str:
    """`names`, the first few of them where they are many."""
    known = list(names)
    more = len(known) - SHOWN
    return ", ".join(known[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def by_value(values: Mapping[str, Any]) -> dict[Any, list[str]]:
    """The names that have each value; what most have comes first."""
    found: dict[Any, list[str]] = {}
    for name, value in values.items():
        found.setdefault(value, []).append(name)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def spread(values: Mapping[str, Any]) -> str:
    """Who has what, as in `2.11 on a, b; 2.15 on c`, the first few where there are many."""
    parts = [f"{value} on {few(names)}" for value, names in by_value(values).items()]
    more = len(parts) - SHOWN
    return "; ".join(parts[:SHOWN]) + (f"; and {more} more such" if more > 0 else "")


def errors_of(facts: Facts, part: str) -> dict[str, str]:
    """What went wrong with `part`, by the name of the node."""
    return {
        name: each[part]["error"] for name, each in facts.items() if "error" in each.get(part, {})
    }


def could_not(check: str, errors: Mapping[str, str], advice: str) -> Line:
    return Line("fail", check, spread(errors), advice)


def judge_nodes(
    names: Sequence[str], silent: Mapping[str, str], total: Mapping[str, float], *, tasks: int
) -> Line:
    """total: the cluster's resources. silent: why a node gave no answer. tasks: nodes that can be given any."""
    if silent:
        return Line(
            "fail",
            "nodes",
            f"{len(silent)} of {len(names)} do not answer: {spread(silent)}",
            "look at their raylet and worker logs, take them out of the cluster, or give them more --timeout",
        )
    cpus, gpus = total.get("CPU", 0), total.get("GPU", 0)
    seen = f"{len(names)} with {cpus:g} CPUs and {gpus:g} GPUs: {few(names)}"
    if not tasks:
        return Line(
            "fail", "nodes", f"{seen}, none of which gives Ray a CPU", "add a machine that does"
        )
    return Line("ok", "nodes", seen)


def judge_versions(found: Mapping[str, Mapping[str, str | None]]) -> Line:
    """found: `versions()` of each node, and of the command itself. None: missing. What is left out may be missing."""
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
        return Line("ok", "token", "every node of Ray asks for its token")
    return Line(
        "warn",
        "token",
        f"Ray was started without token authentication on {few(without)}",
        "whoever reaches its ports runs code there: start Ray with RAY_AUTH_MODE=token (docs/security.md)",
    )


def judge_out(out: str, failed: Mapping[str, str], seen: Mapping[str, Sequence[str]]) -> Line:
    """failed: nodes that could not write, or not read, and why. seen: whose files each node found."""
    advice = "give an --out that all nodes share and may write: a mounted folder, s3:// or gs://"
    if failed:
        return Line("fail", "out", f"{out} cannot be used: {spread(failed)}", advice)
    views = by_value({name: tuple(sorted(others)) for name, others in seen.items()})
    if list(views) == [tuple(sorted(seen))]:
        return Line("ok", "out", f"{out}: every node wrote a file that every node read")
    alone = [name for name, others in seen.items() if tuple(others) == (name,)]
    if len(alone) == len(seen):
        what = f"is a folder of its own on each of {few(alone)}"
    else:
        what = "is not one place: " + "; ".join(
            f"{few(names)} read what {few(others) or 'none'} wrote"
            for others, names in list(views.items())[:SHOWN]
        )
    return Line("fail", "out", f"{out} {what}", advice)


def judge_corpus(
    place: str, digest: str, summary: str, missing: Sequence[str], facts: Facts
) -> Line:
    """summary: what is in it. missing: shards that corpus.json lists and the place has not."""
    if missing:
        seen = f"{place} lacks {len(missing)} of its shards: {few(missing)}"
        return Line("fail", "corpus", seen, "ingest it again, or copy it in whole")
    errors = errors_of(facts, "corpus")
    if errors:
        advice = "put it where all nodes read it: a mounted folder, s3:// or gs://"
        return could_not("corpus", errors, advice)
    digests = {name: each["corpus"]["digest"] for name, each in facts.items()}
    if set(digests.values()) - {digest}:
        advice = "the same path holds different corpora: copy one to all nodes, or share one"
        return Line("fail", "corpus", f"{place}: digest {spread(digests)}; {digest} here", advice)
    read = "every node opened it and read the end of a shard, all shards are there, no picture was read"
    return Line("ok", "corpus", f"{place}: {summary}, digest {digest}; {read}")


def judge_model(name: str, facts: Facts) -> Line:
    """facts: of the nodes that encode pictures."""
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
        advice = "copy one file to all nodes: encoders of different weights give features that do not compare"
        return Line("fail", "model", f"{name}: the weights differ: {spread(digests)}", advice)
    later = [node for node in facts if node not in digests]
    if later:
        seen = f"{name}: not yet on {few(later)}, where it can be fetched from the hub"
        return Line("ok", "model", seen)
    same = next(iter(digests.values()))
    return Line("ok", "model", f"{name}: the same weights on every node that takes tasks, {same}")
