"""Patterns for paths, such as `{scenario}/{group}/{camera}/{name}`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from itkm_core.collections.finding import PICTURE_SUFFIXES
from itkm_core.corpus.schema import SPLITS
from itkm_core.errors import ConfigError

FIELDS = (
    "scenario",
    "group",
    "camera",
    "tracklet",
    "frame",
    "split",
    "person",
    "clothes",
    "name",
)
DEFAULT_PATTERN = "{scenario}/{group}/{camera}/{name}"

_PICTURE_SUFFIX = "(?:" + "|".join(re.escape(suffix) for suffix in PICTURE_SUFFIXES) + ")"
_ANY_SUFFIX = r"(?:\.[^/.]*)?"


@dataclass(frozen=True)
class PathPattern:
    """A compiled pattern. `fields` are those it reads, in order, without `name`; `suffix` the one it ends in."""

    text: str
    fields: tuple[str, ...]
    suffix: str | None
    regex: re.Pattern[str]
    other: re.Pattern[str]

    def match(self, path: str) -> tuple[str, ...] | None:
        """The values of `fields` in `path`, or None if the path does not match."""
        usual = path.lower().endswith(PICTURE_SUFFIXES)
        found = (self.regex if usual else self.other).fullmatch(path)
        return None if found is None else tuple(found[field] for field in self.fields)


def compile_pattern(text: str) -> PathPattern:
    """A pattern of literal text, `{field}`s of FIELDS and `*`; none of them crosses a slash.

    A field matches as little as possible: in `{person}_{name}` the person ends at the first underscore.
    A pattern that does not end in a suffix, such as .png, matches with any suffix and without one.

    Raises:
        ConfigError: an unknown or repeated field, or an unmatched brace.
    """
    fields: list[str] = []
    regex = ""
    for piece in re.split(r"(\{[^{}]*\}|\*)", text.strip("/")):
        if piece == "*":
            regex += "[^/]*"
        elif piece.startswith("{") and piece.endswith("}"):
            field = piece[1:-1]
            if field not in FIELDS or field in fields:
                what = "is used twice" if field in fields else "is unknown"
                raise ConfigError(
                    f"pattern {text!r}: field {piece} {what}; fields are "
                    + ", ".join(f"{{{name}}}" for name in FIELDS)
                )
            fields.append(field)
            regex += f"(?P<{field}>[^/]+?)"
        elif "{" in piece or "}" in piece:
            raise ConfigError(f"pattern {text!r}: unmatched brace near {piece!r}")
        else:
            regex += re.escape(piece)
    named = re.search(r"\.[a-z]\w*$", text.lower())
    # In `1.5_0003.png` the suffix is .png; where it is no picture's, it is what follows the last point.
    endings = (_PICTURE_SUFFIX, _ANY_SUFFIX) if named is None else ("", "")
    usual, other = (re.compile(regex + ending, re.IGNORECASE) for ending in endings)
    return PathPattern(
        text=text,
        fields=tuple(field for field in fields if field != "name"),
        suffix=None if named is None else named[0],
        regex=usual,
        other=other,
    )


def suggest_pattern(paths: Sequence[str]) -> str:
    """A pattern of the most common depth among `paths`, its levels guessed from their names."""
    depths = Counter(path.count("/") for path in paths)
    depth = max(depths, key=lambda d: (depths[d], -d))
    parts = [path.split("/")[:-1] for path in paths if path.count("/") == depth]
    levels: list[str] = []
    free = ["scenario", "camera", "person"]
    for level in range(depth):
        values = {part[level] for part in parts}
        prefixes = {re.sub(r"\d+$", "", value) for value in values}
        numbered = all(value[-1:].isdigit() for value in values)
        if values <= {"0", "1"} and "{group}" not in levels:
            levels.append("{group}")
        elif values <= set(SPLITS) and "{split}" not in levels:
            levels.append("{split}")
        elif "camera" in free and numbered and prefixes <= {"", "c", "cam", "camera"}:
            free.remove("camera")
            levels.append(prefixes.pop() + "{camera}" if len(prefixes) == 1 else "{camera}")
        else:
            levels.append(f"{{{free.pop(0)}}}" if free else "*")
    return "/".join([*levels, "{name}"])
