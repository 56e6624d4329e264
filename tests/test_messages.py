"""A message, help text or page that tells a user to change `section.key` names a key that a configuration has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from pipelines.config import RunConfig

ROOT = Path(__file__).resolve().parent.parent
# Not part of a longer path, name or call: neither `runs/labels.eps`, nor `x.labels.eps`, nor `labels.eps()`.
DOTTED = re.compile(r"(?<![\w./-])[a-z_]\w*(?:\.[a-z_]\w*)+(?![\w/(]|\.\w)")
FILE_SUFFIXES = set(
    [
        "csv",
        "json",
        "jsonl",
        "md",
        "npy",
        "npz",
        "parquet",
        "png",
        "pt",
        "py",
        "safetensors",
        "yaml",
    ]
)
HIDDEN = "\0"  # stands for what an f-string fills in


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Strings that a program may show: all but its docstrings, those of commands and of pydantic models excepted."""
    tree = ast.parse(source)
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else HIDDEN for p in node.values]
            yield node.lineno, "".join(parts)
            silent.update(map(id, node.values))
        elif isinstance(node, ast.Module) or not getattr(node, "decorator_list", True):
            docstring = node.body[0] if node.body else None
            if isinstance(docstring, ast.Expr):
                silent.add(id(docstring.value))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield node.lineno, node.value


def models(annotation: object) -> list[type[BaseModel]]:
    """The pydantic models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models(part)]


SECTIONS = {
    name: found
    for name, field in RunConfig.model_fields.items()
    if (found := models(field.annotation))
}
KEYS = {key for (section,) in SECTIONS.values() for key in section.model_fields}


def exists(parts: list[str], model: type[BaseModel]) -> bool:
    name, *rest = parts
    if name not in model.model_fields:
        return False
    annotation = model.model_fields[name].annotation
    inner = models(annotation)
    if rest and str(annotation).startswith("dict["):
        rest = rest[1:]  # any name may be one of its keys
    return not rest or any(exists(rest, other) for other in inner)


def wrong_keys(text: str) -> list[str]:
    """The names in a text that look like a key of a run's configuration and are none."""
    wrong = []
    for name in DOTTED.findall(text):
        parts = name.split(".")
        if parts[-1] in FILE_SUFFIXES:
            continue
        is_meant = parts[0] in SECTIONS or (len(parts) == 2 and parts[1] in KEYS)
        if is_meant and not exists(parts, RunConfig):
            wrong.append(name)
    return wrong


def shown() -> Iterator[tuple[str, str]]:
    """(where, text) of everything that is shown to a user."""
    for room in ("itkm_core", "pipelines"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for line, text in texts(path.read_text("utf-8")):
                yield f"{path.relative_to(ROOT)}:{line}", text
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]:
        for line, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{line}", text


def test_every_key_that_is_named_is_in_the_configuration() -> None:
    wrong = [f"{where} names {name}" for where, text in shown() for name in wrong_keys(text)]
    assert not wrong, "\n".join(wrong)


def test_keys_are_found_where_messages_name_them() -> None:
    """Else the test above might look at nothing."""
    named = {
        name
        for _, text in shown()
        for name in DOTTED.findall(text)
        if name.split(".")[0] in SECTIONS
    }
    assert {"labels.eps", "labels.k1", "model.name", "model.pretrained", "prompts.lr"} <= named


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise E("a larger label.eps")', ["label.eps"]),
        ('raise E(f"{x}: a larger " f"labels.epsilon or {y}")', ["labels.epsilon"]),
        ('typer.Option(help="Sets compute.workers.")', ["compute.workers"]),
        ('@app.command()\ndef run():\n    """Set prompt.tokens."""', ["prompt.tokens"]),
        ('raise E("set labels.scenarios.uvi.epsilon")', ["labels.scenarios.uvi.epsilon"]),
        ('raise E("set model.image_size.height")', ["model.image_size.height"]),
        ('raise E("set labels.eps, or labels.scenarios.uvi.k1.")', []),
        ('name = "pseudo_labels.parquet", "labels.parquet", "runs/labels.eps", "a.labels.eps"', []),
        ('"""Module: see label.eps."""\ndef f():\n    """Of label.eps."""', []),
        ('f"{labels.epsilon} and {x}.eps and labels.{x}"', []),
        ('import_module("itkm_core.matching.assignment"), "labels.for_scenario()"', []),
    ],
)
def test_a_wrong_key_is_found_and_nothing_else(source: str, found: list[str]) -> None:
    assert [name for _, text in texts(source) for name in wrong_keys(text)] == found
