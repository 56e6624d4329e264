"""What the protocols' tests share: random test images with ties, and scores by plain loops."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from itkm_core.evaluation.protocols.known import settings_of
from itkm_core.evaluation.protocols.scoring import score_settings
from itkm_core.evaluation.protocols.setting import Drawn, Tested

SCORES = ("rank_1", "rank_5", "rank_10", "rank_20", "mean_ap", "mean_inp")
PERSONS = range(1, 9)


class Image(NamedTuple):
    row: int
    group: int
    camera: int
    split: str
    person: int
    clothes: int
    tracklet: int


def make_images(
    places: Sequence[tuple[int, int, str]],
    seed: int = 0,
    *,
    persons: Iterable[int] = PERSONS,
    most: int = 4,
    few: int = 0,
) -> tuple[list[Image], np.ndarray]:
    """`few` to `most` images of each person at each place, a (group, camera, split), and coarse features: many tie."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in persons:
        for group, camera, split in places:
            for number in range(rng.integers(few, most + 1)):
                clothes = int(rng.integers(0, 3))
                rows.append((group, camera, split, person, clothes, 10 * person + number // 2))
    order = rng.permutation(len(rows))
    images = [Image(row, *rows[place]) for row, place in enumerate(order.tolist())]
    features = rng.choice([-0.5, 0.5], size=(len(rows), 4)).astype(np.float32)
    return images, features


def as_tested(images: Sequence[Image], draws: Drawn | None = None) -> Tested:
    names = ("group", "camera", "person", "clothes", "tracklet")
    columns = {name: np.array([getattr(each, name) for each in images], np.int64) for name in names}
    splits = np.array([each.split for each in images])
    return Tested(np.arange(100, 100 + len(images)), **columns, split=splits, draws=draws)


def summaries(
    protocol: str, images: Sequence[Image], features: np.ndarray, draws: Drawn | None = None
) -> dict[str, dict[str, Any]]:
    """What the protocol gives, by the settings' names. The features lie in another order than the images."""
    tested = as_tested(images, draws)
    order = np.random.default_rng(9).permutation(len(features))
    rows = np.argsort(order)
    scores = score_settings("it", settings_of(protocol, tested), tested, features[order], rows)
    return {score.setting.name: score.summary() for score in scores}


def naive(
    query: Sequence[Image],
    gallery: Sequence[Image],
    features: np.ndarray,
    left_out: Callable[[Image, Image], bool],
    *,
    persons_once: bool = False,
) -> dict[str, Any]:
    """One draw: one query, one gallery image at a time. `features` has the vector of an image at its row."""
    firsts, aps, inps, skipped = [], [], [], 0
    unit = features / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    for asking in query:
        answers = []
        for place, answer in enumerate(gallery):
            if answer.person != -1 and not left_out(asking, answer):
                cosine = np.float32(sum(unit[asking.row] * unit[answer.row]))
                answers.append((-cosine, place))
        people = [gallery[place].person for _, place in sorted(answers)]
        hits = [rank for rank, person in enumerate(people, 1) if person == asking.person > 0]
        if not hits:
            skipped += 1
            continue
        shown = list(dict.fromkeys(people)) if persons_once else people
        firsts.append(shown.index(asking.person) + 1)
        aps.append(sum(k / rank for k, rank in enumerate(hits, 1)) / len(hits))
        inps.append(len(hits) / hits[-1])
    scores = {f"rank_{r}": statistics.fmean(f <= r for f in firsts) for r in (1, 5, 10, 20)}
    scores |= {"mean_ap": statistics.fmean(aps), "mean_inp": statistics.fmean(inps)}
    return {**scores, "num_queries": len(firsts), "num_skipped": skipped}


def check(found: dict[str, Any], draws: Sequence[dict[str, Any]], groups: tuple[int, int]) -> None:
    """A summary against the naive scores of each draw: every number, to 1e-9."""
    assert (found["query_group"], found["gallery_group"]) == groups
    assert found["num_draws"] == len(draws)
    for name in SCORES:
        values = [draw[name] for draw in draws]
        assert abs(found[name] - statistics.fmean(values)) < 1e-9, name
        if len(draws) == 1:
            assert found["std"][name] is None
        else:
            assert abs(found["std"][name] - statistics.stdev(values)) < 1e-9, name
    for name in ("num_queries", "num_skipped"):
        assert found[name] == round(statistics.fmean(draw[name] for draw in draws)), name


def same_camera(asking: Image, answer: Image) -> bool:
    return asking.person == answer.person and asking.camera == answer.camera


def never(asking: Image, answer: Image) -> bool:
    return False


def naive_shots(
    gallery: Sequence[Image], shots: int, of: Callable[[Image], Any]
) -> list[list[Image]]:
    """Ten draws: each goes through the gallery in a random order, and takes what it has fewer than `shots` of."""
    draws = []
    for draw in range(10):
        order = np.random.default_rng([0, draw]).permutation(len(gallery))
        taken: dict[Any, list[Image]] = {}
        for place in order.tolist():
            mine = taken.setdefault(of(gallery[place]), [])
            if len(mine) < shots:
                mine.append(gallery[place])
        draws.append(sorted(image for mine in taken.values() for image in mine))
    return draws
