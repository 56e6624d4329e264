from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from itkm_core.clustering import LabelOptions, pseudo_label, sweep
from itkm_core.errors import ConfigError


@pytest.mark.parametrize("function", [pseudo_label, sweep])
def test_keywords_and_options_have_the_same_defaults(function):
    keywords = inspect.signature(function).parameters
    for field in fields(LabelOptions):
        chosen_among = field.name.endswith("_candidates")
        if not chosen_among and (function, field.name) != (sweep, "eps"):
            assert keywords[field.name].default == field.default, field.name


def test_eps_auto_needs_candidates_in_rising_order():
    assert LabelOptions(eps="auto", eps_candidates=(0.4, 0.5)).reach() == 0.5
    assert LabelOptions(eps=0.45).reach() == 0.45
    for candidates in [(), (0.5, 0.4), (0.5, 1.5)]:
        with pytest.raises(ConfigError, match="eps"):
            LabelOptions(eps="auto", eps_candidates=candidates)


def test_k1_is_chosen_among_rising_candidates_of_which_it_is_the_last():
    options = LabelOptions(k1=20, k2=6, k1_candidates=(2, 8, 20))
    assert [options.with_k1(k1).k2 for k1 in options.k1_candidates] == [1, 2, 4]
    assert options.with_k1(8).k1_candidates == ()
    for k1, candidates in [(20, (8, 8, 20)), (20, (8, 12)), (20, (0, 20))]:
        with pytest.raises(ConfigError, match="k1_candidates are"):
            LabelOptions(k1=k1, k1_candidates=candidates)
