"""Text is read and written in an encoding that the code names: the locale's is another on every machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACE = {"read_text": 0, "write_text": 1}  # arguments before the encoding


def by_locale(source: str) -> Iterator[int]:
    """The lines of calls that read or write text without naming its encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {word.arg: word.value for word in node.keywords}
        if "encoding" in given:
            continue
        words = (given.get("text"), given.get("universal_newlines"))  # of a subprocess
        if any(isinstance(each, ast.Constant) and each.value is True for each in words):
            yield node.lineno
        if name in ("read_text", "write_text") and len(node.args) <= PLACE[name]:
            yield node.lineno
        if name in ("open", "fdopen", "TemporaryFile", "NamedTemporaryFile"):
            by_method = name == "open" and isinstance(node.func, ast.Attribute)
            values = [*node.args[0 if by_method else 1 :][:1], given.get("mode")]
            modes = [each.value for each in values if isinstance(each, ast.Constant)]
            if by_method and node.args and not modes:
                continue  # Corpus.open(path)
            default = "w+b" if name.endswith("File") else "r"
            if "b" not in str((modes or [default])[0]):
                yield node.lineno


@pytest.mark.parametrize("room", ["itkm_core", "pipelines"])
def test_every_text_names_its_encoding(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in by_locale(path.read_text("utf-8"))
    ]
    assert not found, found


@pytest.mark.parametrize(
    "source",
    [
        "Path(x).read_text()",
        "(a / b).write_text(x)",
        "open(x)",
        "open(x, 'w')",
        "x.open()",
        "x.open('a')",
        "NamedTemporaryFile(mode='w')",
        "run(x, text=True)",
    ],
)
def test_the_search_finds_every_way(source: str) -> None:
    assert list(by_locale(source)) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "Path(x).read_text('utf-8')",
        "x.read_text(encoding='utf-8')",
        "x.write_text(a, 'utf-8')",
        "open(x, 'rb')",
        "x.open('rb')",
        "Corpus.open(x)",
        "os.open(x, os.O_WRONLY)",
        "NamedTemporaryFile()",
        "run(x, text=True, encoding='utf-8')",
    ],
)
def test_the_search_leaves_the_others_alone(source: str) -> None:
    assert not list(by_locale(source))
