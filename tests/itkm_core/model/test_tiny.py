"""The embedded CLIP: its architecture, and the weights that are shipped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from itkm_core.evaluation.ranking import rank
from itkm_core.model.tiny import build_tiny_clip
from itkm_core.model.tiny_zero_shot import encode, pictures, zero_shot
from itkm_core.model.train_tiny import DEFAULT_OUT
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import Sample, iter_samples


def test_the_architecture_is_the_small_one() -> None:
    clip = build_tiny_clip()
    assert sum(p.numel() for p in clip.visual.parameters()) < 900_000
    assert clip.encode_image(torch.zeros(2, 3, 64, 32)).shape == (2, 64)
    assert clip.encode_text(torch.zeros(2, 77, dtype=torch.int64)).shape == (2, 64)
    assert clip.visual.grid_size == (8, 4)


def test_a_seed_decides_the_untrained_weights() -> None:
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build_tiny_clip().state_dict()["visual.conv1.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.fixture(scope="module")
def shipped() -> Any:
    clip = build_tiny_clip()
    state = load_file(DEFAULT_OUT)
    assert all(value.dtype == torch.float16 for value in state.values())
    clip.load_state_dict({name: value.float() for name, value in state.items()}, strict=True)
    return clip.eval()


@pytest.fixture(scope="module")
def people() -> list[Sample]:
    return list(iter_samples(SyntheticConfig(people_train=0, people_test=100, seed=4321)))


@pytest.fixture(scope="module")
def vectors(shipped: Any, people: list[Sample]) -> np.ndarray:
    return encode(shipped, pictures(people))


def test_the_shipped_weights_are_small_finite_and_carry_a_card() -> None:
    assert DEFAULT_OUT.stat().st_size < 10_000_000
    assert all(torch.isfinite(value).all() for value in load_file(DEFAULT_OUT).values())
    card = DEFAULT_OUT.with_suffix(".md").read_text()
    for word in ("python -m itkm_core.model.train_tiny", "seed", "seconds", "mAP"):
        assert word in card


def test_zero_shot_finds_people_across_groups_and_leaves_something_to_learn(
    people: list[Sample], vectors: np.ndarray
) -> None:
    noise = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    chance = zero_shot(noise, people)
    for scenario, scores in zero_shot(vectors, people).items():
        assert min(scores) > 2 * max(chance[scenario]), scenario
        assert np.mean(scores) < 50, scenario


def test_zero_shot_scores_are_the_ranking_of_the_named_direction(
    people: list[Sample], vectors: np.ndarray
) -> None:
    def rows(group: int, split: str) -> list[int]:
        wanted = ("ucc", group, split)
        return [i for i, s in enumerate(people) if (s.scenario, s.group, s.split) == wanted]

    q, k = rows(1, "query"), rows(0, "gallery")
    ids, cameras = np.array([s.person for s in people]), np.array([s.camera for s in people])
    expected = rank(vectors[q], vectors[k], ids[q], ids[k], cameras[q], cameras[k]).mean_ap
    assert len(q) == len(k) == 200
    assert zero_shot(vectors, people)["ucc"][0] == pytest.approx(100 * expected)


def texts(clip: Any, captions: list[str]) -> np.ndarray:
    from open_clip.tokenizer import SimpleTokenizer

    with torch.no_grad():
        return clip.encode_text(SimpleTokenizer()(captions), normalize=True).numpy()


@pytest.mark.parametrize("thing", ["backpack", "handbag", "wide hat", "beanie"])
def test_naming_a_thing_moves_a_caption_towards_pictures_of_it(
    shipped: Any, people: list[Sample], vectors: np.ndarray, thing: str
) -> None:
    plain = "a photo of a person wearing a red top and blue trousers"
    without, with_it = texts(shipped, [f"{plain}.", f"{plain}, with a {thing}."])
    gain = vectors @ with_it - vectors @ without
    has = np.array([thing in s.caption for s in people])
    assert gain[has].mean() > gain[~has].mean() + 0.05


@pytest.mark.parametrize("infrared", [False, True])
def test_a_picture_is_near_its_own_caption(
    shipped: Any, people: list[Sample], vectors: np.ndarray, infrared: bool
) -> None:
    side = ("uvi", int(infrared))
    # One picture a person: two captions of one person may say the same.
    rows = [i for i, s in enumerate(people) if (s.scenario, s.group) == side and s.view == 0]
    similar = vectors[rows] @ texts(shipped, [people[i].caption for i in rows]).T
    place = (similar > np.diag(similar)[:, None]).sum(1)
    assert len(rows) == 100
    assert np.median(place) < 5
