"""The steps that `stages.py` measures, and the synthetic world they work on.

A world is a folder of arrays for the two groups of one scenario: N images and K clusters in each, D dimensions. A
step reads its inputs from there when it is made; only calling it is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

IMAGES_A_CLUSTER = 12.5
SIDES = (0, 1)
NOISE = 1.85  # of an image around its person, whose own vector has standard deviation 1
GAP = 0.7  # between the vectors of one person in the two groups
# The same between clusters. Means of such images would match without ambiguity, and such an assignment is fast.
CLUSTER_GAP = 3.0
OUTLIERS, MOVED = (
    0.08,
    0.05,
)  # shares of images that are outliers, and that have another person's label
DIMENSION = 512  # of CLIP ViT-B/16
TINY_DIMENSION = 64  # of itkm-tiny, which is what the training steps train
K, NUM_HARD = 20, 128

Step = Callable[[int], Any]


@dataclass(frozen=True)
class Stage:
    """A step to measure.

    Attributes:
        title: its name in the tables.
        ready: loads libraries and compiles kernels, before memory is measured.
        make: world -> the step, called with 0, 1, ...
        search: (module, name) of the exact neighbour search inside, timed separately.
        steps: how often it is called, and how many first calls do not count; None: `--repeats` and 0.
    """

    title: str
    ready: Callable[[Path], Any]
    make: Callable[[Path], Step]
    search: tuple[str, str] | None = None
    steps: tuple[int, int] | None = None


def make_world(folder: Path, num: int, seed: int = 0) -> Path:
    """Write the arrays of a world with `num` images per group; returns the folder."""
    from itkm_core.learning.text_update import cluster_text, update_instance_text

    folder.mkdir()
    rng = np.random.default_rng((seed, num))
    person = (np.arange(num) / IMAGES_A_CLUSTER).astype(np.int64)
    clusters = int(person[-1]) + 1
    for dimension, name in ((DIMENSION, "features"), (TINY_DIMENSION, "small")):
        people = _normal(rng, clusters, dimension)
        for side in SIDES:
            own = people + GAP * _normal(rng, clusters, dimension)
            own /= np.sqrt(1 + GAP**2, dtype=np.float32)
            rows = own[person]
            rows += NOISE * _normal(rng, num, dimension)
            np.save(folder / f"{name}-{side}.npy", _unit(rows))
    words, faces = _normal(rng, clusters, DIMENSION), _normal(rng, clusters, DIMENSION)
    for side in SIDES:
        prompts = _unit(words + GAP * _normal(rng, clusters, DIMENSION))
        text = prompts[_with_errors(rng, person, outliers=0)]  # as after Stage II
        labels = _with_errors(rng, person, outliers=OUTLIERS)  # of this round
        arrays = {
            "labels": labels,
            "prompts": prompts,
            "text-before": text,
            "text": update_instance_text(text, cluster_text(text, labels), labels, 0.8),
            "cluster-text": _unit(words + CLUSTER_GAP * _normal(rng, clusters, DIMENSION)),
            "centroids": _unit(faces + CLUSTER_GAP * _normal(rng, clusters, DIMENSION)),
            "small-text": _unit(_normal(rng, clusters, TINY_DIMENSION)),
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}-{side}.npy", array)
    return folder


def labelling(world: Path) -> Step:
    """Labels of one group."""
    from itkm_core.clustering import pseudo_label

    rows = np.load(world / "features-0.npy")

    def step(number: int) -> None:
        labels = pseudo_label(rows).labels
        np.save(world / "found.npy", labels)

    return step


def image_texts(world: Path) -> Step:
    """Whose text each image of a group has after Stage II, and how many are right."""
    from itkm_core.learning.prompt_health import prompt_accuracy
    from itkm_core.learning.text_update import text_cluster

    images, labels, prompts = (
        np.load(world / f"{n}-0.npy") for n in ("features", "labels", "prompts")
    )

    def step(number: int) -> None:
        text_cluster(images, labels, prompts)
        prompt_accuracy(images, labels, prompts)

    return step


def update_texts(world: Path) -> Step:
    """DRU of one group."""
    from itkm_core.learning.text_update import cluster_text, update_instance_text

    text, labels = (np.load(world / f"{name}-0.npy") for name in ("text-before", "labels"))
    return lambda number: update_instance_text(text, cluster_text(text, labels), labels, 0.8)


def cluster_matching(world: Path, **options: Any) -> Step:
    """CHM of a scenario."""
    from itkm_core.matching import match_clusters

    rows = [np.load(world / f"{n}-{s}.npy") for n in ("centroids", "cluster-text") for s in SIDES]

    def step(number: int) -> None:
        found = match_clusters(*rows, **options)
        np.savez(world / "clusters.npz", *found.targets(0), *found.targets(1))

    return step


def sparse_cluster_matching(world: Path) -> Step:
    """CHM of a scenario among candidates only, as above `matching.dense_limit` clusters."""
    return cluster_matching(world, dense_limit=0)


def instance_matching(world: Path) -> Step:
    """IHM of a scenario."""
    from itkm_core.matching import match_instances

    rows = [
        np.load(world / f"{name}-{side}.npy") for name in ("features", "text") for side in SIDES
    ]

    def step(number: int) -> None:
        found = match_instances(*rows, k=K, num_hard=NUM_HARD)
        for side in SIDES:
            hard = found.hard(side)
            assert hard is not None  # they were asked for
            np.savez(world / f"instances-{side}.npz", *found.positives(side), hard)

    return step


def homogeneous_step(world: Path) -> Step:
    """A training step of Stage I: its plan, and 16 x 4 pictures of each group."""
    return _training(world, heterogeneous=False)


def heterogeneous_step(world: Path) -> Step:
    """A training step of Stage III with all its terms, on the matches that the earlier measurements wrote."""
    return _training(world, heterogeneous=True)


def prompts_step(world: Path) -> Step:
    """A training step of Stage II: its plan, and the prompts of 16 clusters of each group."""
    import torch

    from itkm_core.learning.config import PromptConfig
    from itkm_core.learning.prompt_learner import PromptLearner
    from itkm_core.learning.prompts import StageTwo
    from itkm_core.model.clip import load_clip

    indices, ids = _indices(world)
    vectors = np.concatenate([np.load(world / f"small-{side}.npy") for side in SIDES])
    config = PromptConfig()
    clusters = [index.num_clusters for index in indices]
    learner = PromptLearner.from_clip(load_clip("itkm-tiny"), clusters, config, seed=0)
    stage = StageTwo(learner, config)

    def step(number: int) -> None:
        plan = _plan(indices, config, number)
        rows = np.searchsorted(ids, plan.sample_ids)
        stage.step(torch.from_numpy(vectors[rows]), plan)

    return step


def load_training(world: Path) -> None:
    """The libraries of a training worker."""
    from itkm_core.learning import heterogeneous, prompts  # noqa: F401
    from itkm_core.model.clip import load_clip

    load_clip("itkm-tiny")


def _training(world: Path, *, heterogeneous: bool) -> Step:
    import torch

    from itkm_core.clustering.centroids import cluster_means
    from itkm_core.learning.config import HeterogeneousConfig, HomogeneousConfig
    from itkm_core.learning.heterogeneous import Links, StageThree
    from itkm_core.learning.homogeneous import StageOne
    from itkm_core.learning.instance_bank import InstanceBank
    from itkm_core.learning.memory import ClusterMemory
    from itkm_core.model.clip import load_clip
    from itkm_core.model.weights import make_encoder

    config = HomogeneousConfig()
    encoder, info = make_encoder(load_clip("itkm-tiny"), ["made-up"], image_size=(64, 32))
    indices, _ = _indices(world)
    memories = [
        ClusterMemory(
            torch.from_numpy(
                cluster_means(*(np.load(world / f"{n}-{side}.npy") for n in ("small", "labels")))
            )
        )
        for side in SIDES
    ]
    if heterogeneous:
        banks = [
            InstanceBank(_sample_ids(world, side), np.load(world / f"small-{side}.npy"))
            for side in SIDES
        ]
        texts = [torch.from_numpy(np.load(world / f"small-text-{side}.npy")) for side in SIDES]
        clusters, instances = _positives(world)
        options = HeterogeneousConfig()
        stage: StageOne = StageThree(
            encoder,
            memories,
            config,
            total_steps=1000,
            options=options,
            links=Links(texts, clusters, banks, instances),
        )
    else:
        stage = StageOne(encoder, memories, config, total_steps=1000)
    pixels = torch.Generator().manual_seed(0)

    def step(number: int) -> None:
        plan = _plan(indices, config, number)
        stage.step(torch.randn(len(plan), 3, *info.image_size, generator=pixels), plan)

    return step


def _positives(world: Path) -> tuple[list[Any], list[Any]]:
    """Positives of clusters and images, from what the matching measurements wrote."""
    from itkm_core.learning.terms import Positives
    from itkm_core.neighbors.csr import Csr

    found = np.load(world / "clusters.npz")
    clusters = [found[f"arr_{number}"] for number in range(4)]
    of_images = []
    for side in SIDES:
        arrays = np.load(world / f"instances-{side}.npz")
        rows = Csr(arrays["arr_0"], arrays["arr_1"])
        of_images.append(Positives(1 - side, rows, arrays["arr_2"]))
    pairs = [Positives(1 - side, Csr(*clusters[2 * side : 2 * side + 2])) for side in SIDES]
    return pairs, of_images


def _indices(world: Path) -> tuple[list[Any], np.ndarray]:
    """The index that batches are planned from, and all sample ids."""
    from itkm_core.corpus.sampling import GroupIndex, GroupLabels

    ids = [_sample_ids(world, side) for side in SIDES]
    indices = [
        GroupIndex.from_labels(GroupLabels(0, s, ids[s], np.load(world / f"labels-{s}.npy")))
        for s in SIDES
    ]
    return indices, np.concatenate(ids)


def _sample_ids(world: Path, side: int) -> np.ndarray:
    num = len(np.load(world / f"labels-{side}.npy", mmap_mode="r"))
    return np.arange(num) + side * num


def _plan(indices: list[Any], config: Any, number: int) -> Any:
    from itkm_core.corpus.sampling import plan_step

    return plan_step(
        indices,
        clusters_per_group=config.clusters_per_group,
        images_per_cluster=config.images_per_cluster,
        seed=0,
        round=1,
        step=number,
    )


def _normal(rng: np.random.Generator, num: int, dimension: int) -> np.ndarray:
    return rng.standard_normal((num, dimension), dtype=np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _with_errors(rng: np.random.Generator, person: np.ndarray, *, outliers: float) -> np.ndarray:
    """Labels, some of them wrong and some -1; each person's first image is right."""
    labels = person.copy()
    first = np.append(True, person[1:] != person[:-1])
    moved = (rng.random(len(person)) < MOVED) & ~first
    labels[moved] = rng.integers(0, person[-1] + 1, moved.sum())
    labels[(rng.random(len(person)) < outliers) & ~first] = -1
    return labels


def _called_once(make: Callable[[Path], Step]) -> Callable[[Path], Any]:
    """A call on the small world, which loads libraries and compiles kernels."""
    return lambda world: make(world)(0)


# Stage III comes after matching, whose results it reads.
_ACROSS = "nearest_across"
STAGES = {
    "label": Stage(
        "labelling, a group",
        _called_once(labelling),
        labelling,
        ("itkm_core.clustering.pseudo_labels", "nearest"),
    ),
    "train-1": Stage("Stage I, a step", load_training, homogeneous_step, steps=(15, 3)),
    "prompts": Stage("Stage II, a step", load_training, prompts_step, steps=(15, 3)),
    "texts": Stage("Stage II, texts of images", _called_once(image_texts), image_texts),
    "dru": Stage("DRU, a group", _called_once(update_texts), update_texts),
    "chm": Stage("CHM", _called_once(cluster_matching), cluster_matching),
    "chm-sparse": Stage(
        "CHM, 50 candidates",
        _called_once(sparse_cluster_matching),
        sparse_cluster_matching,
        ("itkm_core.matching.assignment", _ACROSS),
    ),
    "ihm": Stage(
        "IHM",
        _called_once(instance_matching),
        instance_matching,
        ("itkm_core.matching.instances", _ACROSS),
    ),
    "train-3": Stage("Stage III, a step", load_training, heterogeneous_step, steps=(15, 3)),
}
