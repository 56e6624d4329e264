from __future__ import annotations

from typing import Any

import pytest

from pipelines.artifacts.differences import differences


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: 2 there, 3 now"]),
        ({"a": 1}, {"b": 2}, ["a: 1 there, None now", "b: None there, 2 now"]),
        ({"a": None}, {"a": {"b": 1}}, ["a: None there, {'b': 1} now"]),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 1}, {"b": 3}]}, ["a.1.b: 2 there, 3 now"]),
        ({"a": [{"b": 1}]}, {"a": []}, ["a: [{'b': 1}] there, [] now"]),
        ({"a": ["uvi"]}, {"a": ["ucc"]}, ["a: ['uvi'] there, ['ucc'] now"]),
        ({"a": True}, {"a": [{}]}, ["a: True there, [{}] now"]),
    ],
)
def test_each_value_that_differs_is_a_line(before: Any, now: Any, lines: list[str]) -> None:
    assert differences(before, now) == lines
