"""Captions: no colour in infrared, true to the person, varied."""

from __future__ import annotations

import re

import pytest

from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.people import COLOURS, HAIR_COLOURS, luminance
from itkm_core.synthetic.sample import Sample, iter_samples, person_in

CONFIG = SyntheticConfig(people_train=60, people_test=0, images=2, seed=13)
COLOUR_WORDS = {*COLOURS, *HAIR_COLOURS, "colour", "colourful"}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(iter_samples(CONFIG))


def words(caption: str) -> list[str]:
    return re.findall(r"[a-z-]+", caption)


def index(sample: Sample) -> int:
    return (sample.person - 1) % CONFIG.people


def test_no_colour_word_for_an_infrared_view(samples: list[Sample]) -> None:
    with_colour = 0
    for s in samples:
        named = COLOUR_WORDS & set(words(s.caption))
        if s.scenario == "uvi" and s.group == 1:
            assert not named, s.caption
        else:
            with_colour += bool(named)
    # Some 40 in 100 colour pictures are described by brightness alone.
    assert 0.5 < with_colour / (len(samples) - 120) < 0.85


def test_what_is_said_is_true(samples: list[Sample]) -> None:
    for s in samples:
        who, said = person_in(CONFIG, s.scenario, index(s), s.group), set(words(s.caption))
        for thing in ("backpack", "handbag"):
            assert thing not in said or who.bag == thing, s.caption
        for hat in ("beanie", "cap"):
            assert hat not in said or who.hat == hat, s.caption
        assert "shorts" not in said or who.bottom.kind == "shorts"
        assert "skirt" not in said or "skirt" in who.bottom.kind
        assert "striped" not in said or who.top.pattern == "striped"
        assert "bald" not in said or who.hair_length == "bald"
        dark = luminance(who.top.material.rgb) < 0.36
        if re.search(r"dark (plain |[a-z-]+ed |two-tone )?(t-shirt|sweater|coat)", s.caption):
            assert dark or (s.group == 1 and s.scenario == "uvi"), s.caption
        assert "boots" not in said or who.shoes == "boots"
        assert "infrared" not in said or (s.scenario == "uvi" and s.group == 1)
        assert "low-resolution" not in said or (s.scenario == "ucr" and s.group == 1)


def test_captions_vary_between_views_of_a_person(samples: list[Sample]) -> None:
    captions = {}
    for s in samples:
        captions.setdefault((s.person, s.group), []).append(s.caption)
    assert sum(a != b for a, b in captions.values()) > 0.95 * len(captions)


def test_captions_are_one_tidy_line_that_fits_the_text_tower(samples: list[Sample]) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    tokens = SimpleTokenizer()([s.caption for s in samples])
    assert int((tokens != 0).sum(1).max()) < 77
    for s in samples:
        assert re.fullmatch(r"[a-z][a-z, -]*[a-z]\.", s.caption), s.caption
        assert "  " not in s.caption
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", s.caption), s.caption
