"""The rounds of a run in one process, without Ray: the same core code, one experiment a core.

Stage I and the prompts are kept by what they were made from, so experiments on Stage III begin where they begin.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lab.world import Array, MemoryLoader, World
from itkm_core.clustering.auto_eps import label_rows
from itkm_core.clustering.cameras import without_camera
from itkm_core.clustering.centroids import cluster_means
from itkm_core.clustering.guards import keep_or_stop
from itkm_core.corpus.sampling import GroupIndex, GroupLabels, plan_step
from itkm_core.evaluation.clusters import label_quality
from itkm_core.learning.heterogeneous import Links, StageThree
from itkm_core.learning.homogeneous import StageOne
from itkm_core.learning.instance_bank import InstanceBank
from itkm_core.learning.memory import ClusterMemory
from itkm_core.learning.prompt_learner import PromptLearner, offline_text
from itkm_core.learning.prompts import StageTwo
from itkm_core.learning.terms import Positives
from itkm_core.learning.text_update import (
    cluster_text,
    majority_text,
    text_cluster,
    update_instance_text,
)
from itkm_core.matching import (
    cluster_accuracy,
    instance_precision,
    joined_rows,
    match_clusters,
    match_instances,
)
from itkm_core.model.clip import load_clip
from itkm_core.model.weights import make_encoder
from pipelines.artifacts.blocks import Block
from pipelines.artifacts.run_folder import digest_of
from pipelines.config import RunConfig

_OF_STAGE_THREE = {"heterogeneous_rounds", "heterogeneous", "matching", "text_update", "compute"}
_PARTS_OF_STAGE_THREE = ("text_guidance", "chm", "ihm", "dru")


@dataclass
class Group:
    """One block in a round: its images, labels, texts."""

    block: Block
    ids: Array
    cameras: Array
    persons: Array
    features: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    frozen: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    labels: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    earlier: Array | None = None
    centroids: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    owners: Array = field(default_factory=lambda: np.zeros(0, np.int64))  # rows of T^0
    first_text: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # T^0
    text: Array | None = None  # T of this round
    instance_text: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # t


class Method:
    """One run. Subclasses change a part of it: see experiments.py."""

    def __init__(
        self,
        world: World,
        config: RunConfig,
        *,
        keep: Path,
        say: Callable[[str], None],
        more: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """keep: where Stage I and prompts are kept. more: of a block by name, options of `augment_more`."""
        torch.set_num_threads(1)
        self.more = {} if more is None else more
        self.world, self.config, self.keep, self.say = world, config, keep, say
        self.clip = load_clip(config.model.name, config.model.pretrained, text=True)
        names = world.corpus.scenarios
        self.names = tuple(names)
        self.encoder, self.info = make_encoder(
            self.clip,
            names,
            image_size=config.model.image_size,
            scenario_embedding=config.components.scenario_embedding,
            scenario_scale=config.model.scenario_scale,
            seed=config.seed,
        )
        plain, info = make_encoder(
            self.clip, names, image_size=config.model.image_size, scenario_embedding=False
        )
        self.plain = world.features(plain, info)
        self.groups = {
            block: Group(
                block, world.ids(block), world.cameras(block), world.persons[world.ids(block)]
            )
            for block in world.blocks
        }
        for group in self.groups.values():
            group.frozen = self.plain[group.ids]
        self.rounds: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}  # of the newest matches, by scenario

    # What experiments change.

    def stage_three(self, memories: list[ClusterMemory], links: Links, **given: Any) -> StageOne:
        return StageThree(self.encoder, memories, links=links, **given)

    def loader(self) -> MemoryLoader:
        blocks = list(self.groups)
        colourless = frozenset(k for k, b in enumerate(blocks) if b.name in self.config.colour_free)
        config = self.config
        size = config.model.image_size
        own = [config.augmentation.of(*block) for block in blocks]
        store: Any = None
        return MemoryLoader(
            store,
            size,
            self.info.mean,
            self.info.std,
            own,
            colourless,
            world=self.world,
            more={k: self.more[b.name] for k, b in enumerate(blocks) if b.name in self.more},
        )

    def label(self, group: Group) -> Array:
        rows = group.features
        if self.config.without_camera:
            rows = without_camera(rows, group.cameras)
        options = self.config.labels.for_scenario(group.block.scenario)
        labelled = label_rows(rows, group.ids, options, where=group.block.name)
        parameters = labelled.found.parameters
        found = dict(where=group.block.name, eps=parameters["eps"], k1=parameters["k1"])
        return keep_or_stop(labelled.found.labels, group.earlier, **found)[0]

    # The rounds.

    def run(self) -> dict[str, Any]:
        config, started = self.config, time.time()
        self.score("zero-shot")
        first = self.kept("stage-one", self._stage_one)
        self.encoder.load_state_dict(first["encoder"])
        for group in self.groups.values():
            group.earlier = first["earlier"][group.block.name].numpy()
        self.rounds += first["rounds"]
        if config.heterogeneous_rounds:
            self.extract_and_label()
            if config.needs_text:
                self.give_texts(self.kept("prompts", self._prompts))
            stage: StageOne | None = None
            for number in range(config.heterogeneous_rounds):
                if number:
                    self.extract_and_label()
                stage = self._round_three(config.homogeneous_rounds + number + 1, stage)
        scores = self.score("final")
        return {"scores": scores, "matches": self.facts, "seconds": time.time() - started}

    def kept(self, what: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        told = self.config.model_dump(mode="json", exclude=_OF_STAGE_THREE)
        for part in _PARTS_OF_STAGE_THREE:
            del told["components"][part]
        if what == "stage-one":
            del told["prompts"]
        said = json.dumps([what, self.more, self.world.corpus.root, told])
        place = self.keep / f"{what}-{digest_of(said.encode())[:24]}.pt"
        if not place.exists():
            found = make()
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_suffix(f".{time.time_ns()}")
            torch.save(found, draft)
            draft.rename(place)
        return torch.load(place, weights_only=True)

    def _stage_one(self) -> dict[str, Any]:
        config, training = self.config, self.config.training(heterogeneous=False)
        total = config.homogeneous_rounds * training.steps_per_round
        before: StageOne | None = None
        self.rounds = []
        for number in range(1, config.homogeneous_rounds + 1):
            self.extract_and_label()
            memories = self.memories()
            stage = StageOne(self.encoder, memories, training, total_steps=total)
            self._train(stage, before, training, number)
            before = stage
            self.score(f"stage I, {number}")
        state = {name: value.clone() for name, value in self.encoder.state_dict().items()}
        earlier = {g.block.name: torch.from_numpy(g.labels) for g in self.groups.values()}
        return {"encoder": state, "rounds": self.rounds, "earlier": earlier}

    def _prompts(self) -> dict[str, Any]:
        config = self.config.prompting()
        indices, groups = self.indices(), list(self.groups.values())
        counts = [index.num_clusters for index in indices]
        learner = PromptLearner.from_clip(self.clip, counts, config, seed=self.config.seed)
        stage = StageTwo(learner, config)
        for step in range(config.steps):
            plan = self.plan(indices, config, 0, step)
            stage.step(torch.from_numpy(self.plain[plan.sample_ids]), plan)
        texts = offline_text(learner, precision=config.precision)
        return {g.block.name: torch.from_numpy(t) for g, t in zip(groups, texts, strict=True)}

    def give_texts(self, texts: dict[str, torch.Tensor]) -> None:
        for group in self.groups.values():
            group.first_text = texts[group.block.name].numpy()
            group.owners = text_cluster(group.frozen, group.labels, group.first_text)
            group.instance_text = group.first_text[group.owners]

    def move_texts(self) -> None:
        for group in self.groups.values():
            if not self.config.components.dru:
                group.text = majority_text(group.owners, group.labels, group.first_text)
                continue
            group.text = cluster_text(group.instance_text, group.labels)
            rho = self.config.text_update.rho
            group.instance_text = update_instance_text(
                group.instance_text, group.text, group.labels, rho
            ).astype(np.float32)

    def _round_three(self, number: int, before: StageOne | None) -> StageOne:
        config, training = self.config, self.config.training(heterogeneous=True)
        if config.needs_text:
            self.move_texts()
        memories = self.memories()
        links = self.links()
        total = config.heterogeneous_rounds * training.steps_per_round
        given = {"config": training, "total_steps": total, "options": config.heterogeneous}
        stage = self.stage_three(memories, links, **given)
        self._train(stage, before, training, number)
        self.score(f"stage III, {number}", facts=self.facts)
        return stage

    def links(self) -> Links:
        """This round's texts and matches."""
        config, blocks = self.config, list(self.groups)
        self.facts = {}
        texts = None
        if config.guides_by_text:
            texts = [torch.from_numpy(group.text) for group in self.groups.values()]
        clusters: list[Positives | None] = [None] * len(blocks)
        instances: list[Positives | None] = [None] * len(blocks)
        for scenario in dict.fromkeys(block.scenario for block in blocks):
            sides = [self.groups[Block(scenario, side)] for side in (0, 1)]
            if config.matches_clusters:
                for side, targets in enumerate(self.cluster_targets(*sides)):
                    at = blocks.index(sides[side].block)
                    clusters[at] = Positives(blocks.index(sides[1 - side].block), targets)
            if config.matches_instances:
                found = self.match_images(*sides)
                for side in (0, 1):
                    at = blocks.index(sides[side].block)
                    opposite = blocks.index(sides[1 - side].block)
                    instances[at] = Positives(opposite, found.positives(side), found.hard(side))
        banks = None
        if config.matches_instances:
            banks = [InstanceBank(g.ids, g.features) for g in self.groups.values()]
        return Links(
            texts,
            clusters if config.matches_clusters else None,
            banks,
            instances if config.matches_instances else None,
        )

    def cluster_targets(self, first: Group, second: Group) -> tuple[Any, Any]:
        found = self.match(first, second)
        truth = (first.labels, first.persons, second.labels, second.persons)
        self.facts[first.block.scenario] = {
            "right": 100 * cluster_accuracy(found, *truth).reliable_accuracy,
            "of": 100 * float(found.reliable.mean()) if len(found.pairs) else 0.0,
            "pairs": len(found.pairs),
        }
        return found.targets(0), found.targets(1)

    def match(self, first: Group, second: Group) -> Any:
        options = self.config.matching
        text = (first.text, second.text) if options.image_weight < 1 else (None, None)
        return match_clusters(
            self.compared_centroids(first),
            self.compared_centroids(second),
            *text,
            image_weight=options.image_weight,
            quantile=options.quantile,
            mutual_only=options.mutual_only,
            chance=options.chance,
        )

    def match_images(self, first: Group, second: Group) -> Any:
        options = self.config.matching
        text = (
            (first.instance_text, second.instance_text) if options.instance_text else (None, None)
        )
        found = match_instances(
            self.compared(first, first.features),
            self.compared(second, second.features),
            *text,
            k=options.k,
            mutual_only=options.instance_mutual_only,
        )
        right = [
            instance_precision(found, side, first.persons, second.persons).pair_precision
            for side in (0, 1)
        ]
        self.facts.setdefault(first.block.scenario, {})["images right"] = 100 * float(
            np.mean(right)
        )
        return found

    def compared(self, group: Group, features: Array) -> Array:
        return without_camera(features, group.cameras) if self.config.without_camera else features

    def compared_centroids(self, group: Group) -> Array:
        rows = cluster_means(self.compared(group, group.features), group.labels)
        share = self.config.matching.frozen_weight
        if share:
            before = cluster_means(self.compared(group, group.frozen), group.labels)
            rows = joined_rows(rows, before, 1 - share)
        return rows

    # Pieces.

    def extract_and_label(self) -> None:
        everything = self.world.features(self.encoder, self.info)
        for group in self.groups.values():
            group.features = everything[group.ids]
            group.labels = self.label(group)
            group.earlier = group.labels
            group.centroids = cluster_means(group.features, group.labels)

    def memories(self) -> list[ClusterMemory]:
        return [ClusterMemory(torch.from_numpy(g.centroids)) for g in self.groups.values()]

    def indices(self) -> list[GroupIndex]:
        return [
            GroupIndex.from_labels(
                GroupLabels(self.names.index(b.scenario), b.group, g.ids, g.labels)
            )
            for b, g in self.groups.items()
        ]

    def plan(self, indices: list[GroupIndex], config: Any, number: int, step: int) -> Any:
        return plan_step(
            indices,
            clusters_per_group=config.clusters_per_group,
            images_per_cluster=config.images_per_cluster,
            seed=self.config.seed,
            round=number,
            step=step,
        )

    def _train(self, stage: StageOne, before: StageOne | None, training: Any, number: int) -> None:
        if before is not None:
            stage.load_state_dict(before.state_dict(), memories=False)
        stage.encoder.train()
        indices, loader = self.indices(), self.loader()
        for step in range(training.steps_per_round):
            plan = self.plan(indices, training, number, step)
            stage.step(loader.load(plan), plan)

    def score(self, name: str, facts: Any = None) -> dict[str, float]:
        scores = self.world.retrieval(self.world.features(self.encoder, self.info))
        told = {"at": name, **scores}
        if len(next(iter(self.groups.values())).labels):
            ari = [
                100 * float(label_quality(g.labels, g.persons).ari) for g in self.groups.values()
            ]
            told["ari"] = [round(each, 1) for each in ari]
        if facts:
            told["matches"] = facts
        self.rounds.append(told)
        self.say(json.dumps(told))
        return scores
