from __future__ import annotations

import pytest

from itkm_core.collections.pattern import DEFAULT_PATTERN, compile_pattern, suggest_pattern
from itkm_core.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        (DEFAULT_PATTERN, "UVI/0/c3/0001.jpg", ("UVI", "0", "c3")),
        (DEFAULT_PATTERN, "UVI/0/c3/x/0001.jpg", None),
        (DEFAULT_PATTERN, "UVI/0/0001.jpg", None),
        ("{scenario}/{group}/{camera}/{name}.jpg", "a/1/2/x.JPG", ("a", "1", "2")),
        ("{scenario}/{group}/{camera}/{name}.jpg", "a/1/2/x.png", None),
        ("{scenario}/c{camera}/{name}", "a/c12/x.png", ("a", "12")),
        ("{scenario}/c{camera}/{name}", "a/d12/x.png", None),
        ("{person}_c{camera}_{name}", "07_c2_a_b.webp", ("07", "2")),
        ("{person}_{name}", "07_1_2.jpg", ("07",)),
        ("*/{camera}/*", "any thing/4/x.y.tif", ("4",)),
        ("{name}", "x.jpg", ()),
        ("a.b/{name}", "axb/x.jpg", None),
        ("/{split}/{name}/", "train/x.jpg", ("train",)),
        ("{camera}/{person}", "1/ann.jfif", ("1", "ann")),
        ("{camera}/{person}", "1/ann.b.jpg", ("1", "ann.b")),
        ("{camera}/{person}", "1/ann.jpg_large", ("1", "ann")),
        ("{camera}/{person}", "1/ann", ("1", "ann")),
        ("{person}.{name}", "12.jpg", None),
        ("{name}.jpg_large", "x.jpg_large", ()),
        ("{name}.jpg_large", "x.jpg", None),
    ],
)
def test_paths_are_read(pattern, path, values) -> None:
    assert compile_pattern(pattern).match(path) == values


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{scene}/{name}", r"\{scene\} is unknown; fields are \{scenario\}"),
        ("{camera}/{camera}", r"\{camera\} is used twice"),
        ("{camera/{name}", "unmatched brace"),
        ("camera}/{name}", "unmatched brace"),
        ("{}/{name}", "is unknown"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("paths", "pattern"),
    [
        (["1.jpg", "2.jpg"], "{name}"),
        (["UVI/1.jpg", "UCC/2.jpg"], "{scenario}/{name}"),
        (["UVI/0/1.jpg", "UCC/1/2.jpg"], "{scenario}/{group}/{name}"),
        (["UVI/cam1/1.jpg", "UVI/cam22/2.jpg"], "{scenario}/cam{camera}/{name}"),
        (["UVI/1/3/1.jpg", "UVI/0/4/2.jpg"], "{scenario}/{group}/{camera}/{name}"),
        (["UVI/train/0/c1/x.jpg"], "{scenario}/{split}/{group}/c{camera}/{name}"),
        (["0/3/1.jpg", "1/4/2.jpg"], "{group}/{camera}/{name}"),
        (["a/b/c/d/e/x.jpg"], "{scenario}/{camera}/{person}/*/*/{name}"),
        (["1.jpg", "a/1.jpg", "b/2.jpg"], "{scenario}/{name}"),
    ],
)
def test_the_suggested_pattern_fits(paths: list[str], pattern: str) -> None:
    assert suggest_pattern(paths) == pattern
    depth = pattern.count("/")
    fits = compile_pattern(pattern)
    assert all(fits.match(path) is not None for path in paths if path.count("/") == depth)
