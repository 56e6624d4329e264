"""What differs between two JSON values, in words: why a folder cannot be reused."""

from __future__ import annotations

from typing import Any


def differences(before: Any, now: Any, key: str = "") -> list[str]:
    """A line `dotted.key: ... there, ... now` for each value that differs.

    Lists are compared item by item if they are equally long lists of objects, and otherwise as a whole.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = {name: (before.get(name), now.get(name)) for name in (*before, *now)}
    elif _are_objects(before) and _are_objects(now) and len(before) == len(now):
        pairs = {str(place): each for place, each in enumerate(zip(before, now, strict=True))}
    else:
        return [] if before == now else [f"{key}: {before!r} there, {now!r} now"]
    return [
        line
        for name, (was, value) in pairs.items()
        for line in differences(was, value, f"{key}.{name}" if key else name)
    ]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
