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
        if field.name != "eps_candidates" and (function, field.name) != (sweep, "eps"):
            assert keywords[field.name].default == field.default, field.name


def test_eps_auto_needs_candidates_in_rising_order():
    assert LabelOptions(eps="auto", eps_candidates=(0.4, 0.5)).reach() == 0.5
    assert LabelOptions(eps=0.45).reach() == 0.45
    for candidates in [(), (0.5, 0.4), (0.5, 1.5)]:
        with pytest.raises(ConfigError, match="eps"):
            LabelOptions(eps="auto", eps_candidates=candidates)
