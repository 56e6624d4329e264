"""The commands that the Makefile and the README show are commands the program has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from pipelines.cli import app

ROOT = Path(__file__).resolve().parents[1]


def shown() -> list[str]:
    text = (ROOT / "Makefile").read_text() + (ROOT / "README.md").read_text()
    lines = re.findall(r"^(?:\t\$\(BIN\)/|    (?:\.venv/bin/)?)(itkm .*?)(?:\s+#.*)?$", text, re.M)
    return [re.sub(r"\[.*?\]", "", line.replace("$(DEMO)", "demo")) for line in lines]


def test_the_demo_and_the_readme_are_found() -> None:
    commands = {shlex.split(line)[1] for line in shown()}
    assert {"synth", "ingest", "run", "config", "dag", "evaluate"} <= commands


@pytest.mark.parametrize("line", shown())
def test_a_shown_command_has_the_options_it_is_shown_with(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    group = typer.main.get_command(app)
    command = group.get_command(None, name)  # type: ignore[attr-defined]
    assert command is not None, f"no command {name!r}"
    command.make_context(name, arguments).close()
