"""One picture at a time: determinism, labels, and what survives from one group to the other."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from pydantic import ValidationError

from itkm_core.synthetic.config import SCENARIOS, SyntheticConfig
from itkm_core.synthetic.light import _contours
from itkm_core.synthetic.people import Bottom, Person, Top
from itkm_core.synthetic.pose import Surface
from itkm_core.synthetic.sample import (
    Sample,
    camera_at,
    iter_samples,
    person_in,
    render_sample,
    sample_keys,
)

CONFIG = SyntheticConfig(people_train=6, people_test=5, images=4, seed=7)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(iter_samples(CONFIG))


def same(a: Sample, b: Sample) -> bool:
    return (
        a.encoded() == b.encoded()
        and np.array_equal(a.image, b.image)
        and (a.uri, a.caption, a.person, a.clothes) == (b.uri, b.caption, b.person, b.clothes)
    )


def test_any_picture_alone_is_the_picture_in_the_row(samples: list[Sample]) -> None:
    keys = list(sample_keys(CONFIG))
    assert len(keys) == len(samples) == 3 * 11 * 2 * 4
    for i in np.random.default_rng(0).permutation(len(keys))[:60]:
        assert same(render_sample(CONFIG, *keys[i]), samples[i])


def test_pictures_differ_between_seeds_worlds_people_groups_and_views() -> None:
    base = CONFIG
    variants = [
        base,
        base.model_copy(update={"seed": 8}),
        base.model_copy(update={"world": "clip"}),
    ]
    seen = [
        render_sample(c, s, p, g, v).image.tobytes()
        for c in variants
        for s in SCENARIOS
        for p, g, v in itertools.product((0, 1), (0, 1), (0, 1))
    ]
    assert len(set(seen)) == len(seen)


def test_more_people_and_more_test_people_leave_the_others_as_they_are() -> None:
    more = CONFIG.model_copy(update={"people_test": 50})
    for p in range(CONFIG.people):
        a, b = render_sample(CONFIG, "uvi", p, 1, 2), render_sample(more, "uvi", p, 1, 2)
        assert np.array_equal(a.image, b.image)
        assert a.split == b.split


def test_the_world_of_the_embedded_clip_shares_no_person_and_no_camera() -> None:
    clip = CONFIG.model_copy(update={"world": "clip"})
    for s in SCENARIOS:
        ours = {repr(person_in(CONFIG, s, p, g)) for p in range(11) for g in (0, 1)}
        theirs = {repr(person_in(clip, s, p, g)) for p in range(11) for g in (0, 1)}
        assert not ours & theirs
        cameras = [
            repr(camera_at(c, s, g, k)) for c in (CONFIG, clip) for g in (0, 1) for k in range(4)
        ]
        assert len(set(cameras)) == len(cameras)


def test_people_are_disjoint_across_splits_and_scenarios(samples: list[Sample]) -> None:
    owner: dict[int, tuple[str, bool]] = {}
    for s in samples:
        assert s.person >= 1  # 0 means a distractor
        key = (s.scenario, s.split == "train")
        assert owner.setdefault(s.person, key) == key
    assert len(owner) == 33
    for s in SCENARIOS:
        assert sum(k == (s, True) for k in owner.values()) == 6
        assert sum(k == (s, False) for k in owner.values()) == 5


def test_cameras_serve_one_group_and_a_person_meets_several(samples: list[Sample]) -> None:
    owner: dict[int, tuple[str, int]] = {}
    for s in samples:
        assert owner.setdefault(s.camera, (s.scenario, s.group)) == (s.scenario, s.group)
    assert sorted(owner) == list(range(3 * 2 * CONFIG.cameras))
    for _, views in itertools.groupby(samples, key=lambda s: (s.person, s.group)):
        assert len({s.camera for s in views}) == CONFIG.cameras


@pytest.mark.parametrize("images", [2, 3, 4, 5])
def test_every_test_person_is_asked_for_and_found_in_each_group(images: int) -> None:
    config = SyntheticConfig(people_train=1, people_test=2, images=images)
    for key, views in itertools.groupby(iter_samples(config), key=lambda s: (s.person, s.group)):
        splits = [s.split for s in views]
        if "train" in splits:
            assert splits == ["train"] * images, key
        else:
            assert splits.count("query") == images // 2
            assert splits.count("gallery") == images - images // 2


def test_clothes_numbers_change_only_where_clothes_do(samples: list[Sample]) -> None:
    for person, views in itertools.groupby(samples, key=lambda s: s.person):
        worn = {(s.group, s.clothes) for s in views}
        numbers = {clothes for _, clothes in worn}
        changed = any(s.person == person and s.scenario == "ucc" for s in samples)
        assert len(worn) == 2
        assert len(numbers) == (2 if changed else 1)


def _clothes(person: Person) -> tuple[Top, Bottom]:
    return person.top, person.bottom


def test_change_of_clothes_leaves_the_body_and_at_least_one_thing_to_go_by() -> None:
    config = SyntheticConfig(people_train=400, people_test=0, both_garments_changed=0.25)
    changed = []
    for p in range(400):
        a, b = person_in(config, "ucc", p, 0), person_in(config, "ucc", p, 1)
        assert (a.skin, a.hair, a.bag, a.bag_material, a.hat, a.height, a.build) == (
            b.skin, b.hair, b.bag, b.bag_material, b.hat, b.height, b.build,
        )  # fmt: skip
        changed.append((a.top != b.top, a.bottom != b.bottom))
    both = np.mean([t and b for t, b in changed])
    assert all(t or b for t, b in changed)
    assert 0.17 < both < 0.33
    assert 0.28 < np.mean([t and not b for t, b in changed]) < 0.47
    for s in ("uvi", "ucr"):
        assert all(person_in(config, s, p, 0) == person_in(config, s, p, 1) for p in range(20))


@pytest.mark.parametrize(
    ("follow", "low", "high"), [(0.0, -0.2, 0.2), (0.7, 0.6, 0.97), (1, 0.999, 1)]
)
def test_reflectance_follows_luminance_as_far_as_asked(
    follow: float, low: float, high: float
) -> None:
    config = SyntheticConfig(people_train=300, people_test=0, reflectance_from_luminance=follow)
    cloth = [person_in(config, "uvi", p, 0).top.material for p in range(300)]
    light = [np.dot((0.299, 0.587, 0.114), m.rgb) for m in cloth]
    r = np.corrcoef(light, [m.infrared for m in cloth])[0, 1]
    assert low < r <= high + 1e-9


def test_infrared_has_no_colour_and_the_others_have(samples: list[Sample]) -> None:
    for s in samples:
        spread = np.ptp(s.image.astype(int), axis=2).mean()
        assert (spread == 0) == (s.scenario == "uvi" and s.group == 1)


def test_low_resolution_is_small_and_only_there(samples: list[Sample]) -> None:
    for s in samples:
        height, width, _ = s.image.shape
        if s.scenario == "ucr" and s.group == 1:
            assert 16 <= height <= 20
            assert 8 <= width <= 10
            assert 60 <= (s.jpeg_quality or 0) <= 85
        else:
            assert (height, width) == (64, 32)
            assert s.jpeg_quality is None


@pytest.mark.parametrize("size", [(16, 8), (64, 32), (100, 37), (256, 128)])
def test_any_size(size: tuple[int, int]) -> None:
    config = SyntheticConfig(height=size[0], width=size[1])
    for s in SCENARIOS:
        picture = render_sample(config, s, 0, 0, 0).image
        assert picture.shape == (*size, 3)
        assert picture.std() > 5


def test_difficulty_parameters_reach_the_picture() -> None:
    def roughness(**kwargs: float) -> float:
        config = CONFIG.model_copy(update=kwargs)
        image = render_sample(config, "uvi", 0, 1, 0).image.astype(float)
        return float(np.abs(np.diff(image[..., 0], axis=0)).mean())

    assert roughness(infrared_noise=0.2) > 2 * roughness(infrared_noise=0.0)
    plain = SyntheticConfig(cast=0.0, noise=0.0)
    strong = SyntheticConfig(cast=0.6, noise=0.0)
    a, b = (render_sample(c, "ucc", 1, 0, 0).image.astype(float) for c in (plain, strong))
    assert np.abs(a - b).mean() > 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"people_train": 0, "people_test": 0},
        {"people_train": -1},
        {"images": 0},
        {"scenarios": ()},
        {"scenarios": ("uvi", "uvi")},
        {"scenarios": ("night",)},
        {"downscale": (4.0, 2.0)},
        {"downscale": (0.5, 2.0)},
        {"jpeg_quality": (90, 99)},
        {"reflectance_from_luminance": 1.5},
        {"height": 4},
        {"colour": "red"},
    ],
)
def test_parameters_that_make_no_corpus_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SyntheticConfig(**wrong)  # type: ignore[arg-type]


def test_drawing_is_quick() -> None:
    # The promise is 500 pictures a second on one core; a busy machine has less.
    config = SyntheticConfig(people_train=20, people_test=0, seed=11)
    begun = time.process_time()
    drawn = sum(len(s.encoded()) > 0 for s in iter_samples(config))
    assert drawn / (time.process_time() - begun) > 250


def test_contours_are_where_a_part_of_the_person_ends() -> None:
    surfaces = np.zeros((12, 9), dtype=np.uint8)
    surfaces[6:] = Surface.FLOOR
    surfaces[3:9, 3:6] = Surface.TOP
    expected = np.zeros_like(surfaces)
    for y, x in np.ndindex(12, 9):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < 12 and 0 <= u < 9 and surfaces[v, u] != surfaces[y, x]:
                worn = max(surfaces[v, u], surfaces[y, x]) >= Surface.SKIN
                expected[y, x] |= int(worn)
    assert np.array_equal(_contours(surfaces), expected)
    assert 0 < expected.sum() < 40  # the horizon is none
