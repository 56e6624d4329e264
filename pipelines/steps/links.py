"""What a corpus and a file of decisions know of images, for the tasks that label its blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ConfigError
from itkm_core.links.decisions import NO_DECISIONS, Decisions, decisions_file, read_decisions
from itkm_core.links.units import Links, tracker_links
from pipelines.config import RunConfig


@dataclass(frozen=True)
class LinkPlan:
    """`decisions`: the contents of `source`, which a worker's machine need not have. `alone`: see `Links`."""

    alone: int
    decisions: bytes | None = None
    source: str = ""


def plan_links(config: RunConfig, corpus: Corpus) -> LinkPlan | None:
    """What there is to know of a corpus' images; None if there is nothing, or `labels.links` is off.

    Raises:
        ConfigError: k1 is to be chosen by tracklets, and there are none.
        LinkError: decisions that cannot be read, that name images which the corpus has not, or that contradict
            each other or the tracker.
    """
    own = config.links
    tracked = corpus.has_tracklets and config.labels.links != "off"
    if config.labels.chooses_k1 and not tracked:
        why = "labels.links is off" if corpus.has_tracklets else f"{corpus.root} has none"
        raise ConfigError(
            f"labels.k1=auto chooses by tracklets, and {why}; give a number, about the images of one person in a group"
        )
    if config.labels.links == "off" or not (corpus.has_tracklets or own.decisions):
        return None
    if own.decisions is None:
        return LinkPlan(own.alone)
    plan = LinkPlan(own.alone, decisions_file(own.decisions), own.decisions)
    corpus_links(corpus, plan)  # refused here in a line, and not in a task of each block
    return plan


def block_links(corpus: Corpus, plan: LinkPlan, ids: np.ndarray) -> Links:
    """The links among the images `ids` int64 [N] of one block, ascending."""
    if plan.decisions is not None:  # images of other blocks may connect those of this one
        return corpus_links(corpus, plan).take(ids)
    index = corpus.index(["camera", "tracklet", "frame"])
    camera, tracklet, frame = (index[name].to_numpy()[ids] for name in index.column_names)
    return replace(tracker_links(camera, tracklet, frame), alone=plan.alone)


def corpus_links(corpus: Corpus, plan: LinkPlan) -> Links:
    """The links among all images of a corpus, in order of sample id. Raises as `plan_links`."""
    index = corpus.index(["scenario", "group", "camera", "tracklet", "frame", "uri"])
    scenario = np.unique(index["scenario"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    camera, tracklet, frame = (index[name].to_numpy() for name in ("camera", "tracklet", "frame"))
    block = 2 * scenario + index["group"].to_numpy()
    decisions = NO_DECISIONS if plan.decisions is None else _decisions(corpus, plan)

    def name(place: int) -> str:
        return f"{index['scenario'][place]}:{index['uri'][place]}"

    links = tracker_links(camera, tracklet, frame, decisions, block=block, name=name)
    return replace(links, alone=plan.alone)


def _decisions(corpus: Corpus, plan: LinkPlan) -> Decisions:
    names: dict[str, int] = {}

    def place_of(text: str) -> int | None:
        if text.isascii() and text.isdecimal():
            return int(text) if int(text) < corpus.num_images else None
        if not names:
            index = corpus.index(["scenario", "uri"])
            pairs = zip(index["scenario"].to_pylist(), index["uri"].to_pylist(), strict=True)
            names.update(
                {f"{scenario}:{uri}": place for place, (scenario, uri) in enumerate(pairs)}
            )
        return names.get(text)

    assert plan.decisions is not None
    return read_decisions(plan.decisions, plan.source, place_of)
