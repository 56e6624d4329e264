"""`itkm doctor`: looks, in a minute and on all nodes at once, for what would end a long run after hours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from pyarrow import fs as pafs

from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.errors import ItkmError
from itkm_core.storage.paths import resolve
from pipelines.artifacts.blocks import Block
from pipelines.config import ModelConfig, RunConfig
from pipelines.console import Console
from pipelines.doctor.ask import Node, ask, cluster_nodes
from pipelines.doctor.judge_cluster import (
    Line,
    judge_corpus,
    judge_model,
    judge_nodes,
    judge_token,
    judge_versions,
)
from pipelines.doctor.judge_machines import (
    judge_disks,
    judge_gpus,
    judge_labelling,
    judge_shared_memory,
)
from pipelines.doctor.probe import look, versions
from pipelines.doctor.storage import examine_storage
from pipelines.doctor.tables import report
from pipelines.run.command import rounds_of
from pipelines.steps.label_resources import task_memory
from pipelines.steps.links import plan_links

HERE = "this command"
GPU_SHARE = 0.8
"""Share of a node's time that its GPUs may take, so that the rest of its answer still arrives."""


@dataclass(frozen=True)
class DoctorRequest:
    """What to examine: a configuration and, if given, the corpus and the output folder of its run."""

    config: RunConfig
    corpus: str | None
    out: str | None
    seconds: float  # a node's time for one answer


def examine(request: DoctorRequest, nodes: Sequence[Node]) -> Iterator[Line]:
    """The lines of `itkm doctor`, each as soon as it is known. Ray must be connected.

    Raises:
        ItkmError: the configuration does not fit the corpus.
    """
    corpus, refused = _open(request)
    wanted, unknown = _wanted(request.config.model)
    asked: dict[str, Any] = {"model": wanted, "seconds": GPU_SHARE * request.seconds}
    if corpus is not None:
        asked["corpus"] = {"path": corpus.root, "digest": corpus.digest}
    numbers = {node.id: number for number, node in enumerate(nodes)}

    def question(node: Node) -> tuple[dict[str, Any]]:
        return (_for_node(asked, node, numbers[node.id], corpus),)

    here = versions()
    answers = ask(nodes, look, question, request.seconds)
    names = {node.id: node.name for node in nodes}
    working = [node for node in nodes if node.takes_tasks]
    silent = {names[each]: why for each, why in answers.silent.items()}
    total = ray.cluster_resources()
    yield judge_nodes(list(names.values()), silent, total, tasks=len(working))
    facts = {names[each]: found for each, found in answers.of.items()}
    if not facts:
        return
    yield judge_versions({HERE: here} | {name: each["versions"] for name, each in facts.items()})
    yield judge_token(facts)
    if request.out is not None:
        yield examine_storage(
            request.out, [node for node in nodes if node.id in answers.of], request.seconds
        )
    if corpus is not None:
        yield judge_corpus(
            corpus.root, corpus.digest, _summary(corpus), _missing_shards(corpus), facts
        )
    elif refused:
        yield Line("fail", "corpus", refused)
    encoding = {node.name: facts[node.name] for node in working if node.name in facts}
    if wanted is not None and encoding:
        yield judge_model(request.config.model.name, encoding)
    elif unknown:
        yield Line("fail", "model", unknown)
    counted = {node.name: node.gpus for node in nodes}
    gpus = judge_gpus(counted, facts, cuml_needed=request.config.labels.dbscan == "cuml")
    # Training reads pictures in random order, from a copy on the node's own disk.
    training = [
        node.name for node in working if node.name in facts and (node.gpus or not total.get("GPU"))
    ]
    size = (
        0
        if corpus is None
        else sum(each.get("num_image_bytes", 0) for each in corpus.record["shards"])
    )
    yield from filter(None, (gpus, judge_disks(facts, training, size), judge_shared_memory(facts)))
    if corpus is not None and working and not unknown:
        yield _judge_labelling(request.config, corpus, working)


def doctor(request: DoctorRequest, console: Console) -> bool:
    """Examine and report. Returns whether a check failed."""
    for name, given in (("--corpus", request.corpus), ("--out", request.out)):
        if given is None:
            console.print(f"{name} is not given: the checks that need it are skipped")
    return report(examine(request, cluster_nodes()), console)


def _open(request: DoctorRequest) -> tuple[Corpus | None, str]:
    """The corpus, narrowed to the scenarios of the configuration, or why it cannot be opened."""
    if request.corpus is None:
        return None, ""
    try:
        corpus = Corpus.open(request.corpus)
    except ItkmError as error:
        return None, str(error)
    request.config.check_names(corpus.groups("train"))
    rounds_of(request.config, corpus)  # raises for what cannot be run
    plan_links(request.config, corpus)
    return narrow(corpus, request.config.only), ""


def _for_node(
    asked: Mapping[str, Any], node: Node, number: int, corpus: Corpus | None
) -> dict[str, Any]:
    """The question to one node: the weights if it is to encode pictures, and a shard that differs between nodes."""
    own = {**asked, "gpus": node.gpus}
    if not node.takes_tasks:
        own["model"] = None
    if corpus is not None:
        own["corpus"] = {**asked["corpus"], "shard": number % len(corpus.shards)}
    return own


def _wanted(model: ModelConfig) -> tuple[dict[str, Any] | None, str]:
    """The weights a node has to look for, or why no node could find them; neither if they are not on a hub."""
    from itkm_core.model.pretrained import file_weights, hub_files, weights_kind
    from itkm_core.model.tiny import TINY_MEAN, TINY_NAME, TINY_STD

    try:
        if model.name != TINY_NAME:
            from itkm_core.model.clip import check_name

            check_name(model.name)
        kind = weights_kind(model.name, model.pretrained)
        if model.pretrained is not None and kind == "file":
            path = Path(model.pretrained).expanduser()
            if path.is_file():  # this command's machine need not have it
                file_weights(path, TINY_MEAN, TINY_STD)  # raises for what no node could read
        if model.pretrained is None or kind != "tag":
            return {"kind": kind, "path": model.pretrained}, ""
        found = hub_files(model.name, model.pretrained)
    except ItkmError as error:
        return None, str(error)
    return (
        (None, "")
        if found is None
        else ({"kind": kind, "repository": found[0], "files": found[1]}, "")
    )


def _summary(corpus: Corpus) -> str:
    images = sum(number for (_, _, split), number in corpus.counts.items() if split == "train")
    return (
        f"{images:,} training images of {', '.join(corpus.scenarios)}, {len(corpus.shards)} shards"
    )


def _missing_shards(corpus: Corpus) -> list[str]:
    filesystem, _ = resolve(corpus.root)
    infos = filesystem.get_file_info([resolve(path)[1] for path in corpus.shard_paths()])
    return [
        shard
        for shard, info in zip(corpus.shards, infos, strict=True)
        if info.type != pafs.FileType.File
    ]


def _judge_labelling(config: RunConfig, corpus: Corpus, nodes: Sequence[Node]) -> Line:
    dimension = _dimension(config.model.name)
    tasks = {}
    for each in corpus.groups("train"):
        block = Block(*each)
        number = corpus.counts[(*block, "train")]
        needed = task_memory(
            number,
            dimension,
            config.labels.for_scenario(block.scenario),
            without_camera=config.without_camera,
        )
        tasks[block.name] = (number, needed)
    machines = {node.name: int(node.resources.get("memory", 0)) for node in nodes}
    return judge_labelling(tasks, machines)


def _dimension(name: str) -> int:
    """D of a model's features, without building it."""
    from itkm_core.model.tiny import TINY_CONFIG, TINY_NAME

    if name == TINY_NAME:
        return int(TINY_CONFIG["embed_dim"])
    import open_clip

    return int(open_clip.get_model_config(name)["embed_dim"])
