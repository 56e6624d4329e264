"""What `itkm --help` and `itkm --version` print."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from itkm_core.collections.pattern import DEFAULT_PATTERN
from pipelines.cli import app
from pipelines.config import DEFAULT_RECIPE, recipe_names
from pipelines.ingest.config import IngestConfig

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = GROUP.commands
# Options that are off, or whose part of the work is left out, unless they are given.
WITHOUT_DEFAULT = {
    "doctor": {"corpus", "out"},
    "evaluate": {"json_path"},
    "ingest": {
        *(
            "path",
            "kind",
            "manifest",
            "tracks",
            "derive",
            "scenario",
            "cameras",
            "below",
            "config",
            "pattern",
        ),
        *("every", "min_height", "min_confidence"),
    },
    "label": {"features", "corpus", "sweep", "against"},
    "check": {"out"},
}


def printed(arguments: list[str], width: int) -> str:
    done = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": str(width)})
    assert done.exit_code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", done.output)


def flat(text: str) -> str:
    """The words of a text in a row, with no frames around them."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def written(help_text: str | None) -> str:
    """The words that a help text in the code asks for."""
    assert help_text
    return flat(inspect.cleandoc(help_text).replace("\\[", "["))


def parameters(command: Any) -> list[Any]:
    return [each for each in command.params if each.name != "help"]


@pytest.mark.parametrize("width", [80, 300])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_help_text_is_printed_whole(name: str, width: int) -> None:
    command = COMMANDS[name] if name else GROUP
    shown = printed([name] if name else [], width)
    assert max(map(len, shown.splitlines())) <= width
    words = flat(shown)
    assert written(command.help) in words
    for each in parameters(command):
        assert written(each.help) in words, each.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_default_is_printed(name: str) -> None:
    words = flat(printed([name], 80))
    for each in parameters(COMMANDS[name]):
        if isinstance(each.show_default, str):
            assert f"[default: ({each.show_default})]" in words, each.name
        elif each.required:
            assert each.default is None
        elif isinstance(each.default, bool):
            pairs = dict(zip((True, False), (*each.opts, *each.secondary_opts), strict=False))
            expected = pairs.get(each.default, "").removeprefix("--")
            assert not each.secondary_opts or f"[default: {expected}]" in words, each.name
        elif each.default is not None:
            assert f"[default: {each.default}]" in words, each.name
        else:
            assert each.name == "overrides" or each.name in WITHOUT_DEFAULT[name], each.name


def test_defaults_written_out_are_those_of_the_code() -> None:
    of = {each.name: each for each in COMMANDS["ingest"].params}
    assert float(of["max_rejected_fraction"].show_default) == (
        IngestConfig.model_fields["max_rejected_fraction"].default
    )
    assert DEFAULT_PATTERN in of["pattern"].help
    of = {each.name: each for each in COMMANDS["run"].params}
    assert of["recipe"].default == DEFAULT_RECIPE
    assert all(recipe in of["recipe"].help for recipe in recipe_names())


def test_the_commands_are_in_sections_with_one_line_each() -> None:
    lines = printed([], 80).splitlines()
    titles = [title for line in lines for title in re.findall(r"^╭─ (.*?) ─", line)]
    assert titles == [
        "Options",
        "Make a corpus",
        "Train and label",
        "Look at results",
        "Check before a run",
    ]
    for name, command in COMMANDS.items():
        summary = written(command.help.split("\n\n")[0])
        assert any(re.fullmatch(rf"│ {name} +{re.escape(summary)} +│", line) for line in lines)


def test_version_names_what_a_report_needs_and_imports_none_of_it() -> None:
    code = (
        "import sys; from pipelines.cli import main; main(['--version']); "
        "print(sorted({'ray', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    python = sys.version.split()[0]
    ray, torch = metadata.version("ray"), metadata.version("torch")
    first, imported = done.stdout.splitlines()
    assert re.fullmatch(
        rf"itkm (\d\S+|not installed) \(Ray {re.escape(ray)}, torch {re.escape(torch)}, "
        rf"Python {re.escape(python)}\)",
        first,
    )
    assert imported == "[]"
    assert done.stderr == ""
