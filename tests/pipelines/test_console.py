"""What is printed is what was meant: brackets and all, in any encoding, and whatever happens to the output."""

from __future__ import annotations

import ast
import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.table import Table

from pipelines.config import load_config
from pipelines.console import Console, headed

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "run[red]a",
    "b[/c]d",
    "[bold]",
    "a\\[b]",
    ":smile:",
    "\\",
    "[link=x]y[/link]",
    "日本語",
    "Zürich·😀",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_printed_as_it_is(name: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80)
    console.print(name)
    console.print(headed("note", "yellow", name))
    table = Table(title=name, caption=name, title_justify="left", caption_justify="left")
    table.add_column(name)
    table.add_row(name)
    console.print(table)
    assert out.getvalue().startswith(f"{name}\nnote {name}\n")
    assert out.getvalue().count(name) == 6


def test_a_line_stays_one_and_colours_are_only_for_terminals() -> None:
    out = io.StringIO()
    console = Console(file=out, width=20, force_terminal=True, color_system="standard")
    console.print(headed("error", "red", "x" * 50))
    assert out.getvalue() == f"\x1b[31merror\x1b[0m {'x' * 50}\n"


class Full(io.StringIO):
    """A stream on a full disk, or whose reader is gone."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBADF])
def test_a_log_that_cannot_be_written_does_not_end_the_work(number: int) -> None:
    console = Console(file=Full(number))
    console.print("x")
    assert console.lost == os.strerror(number)


def test_a_reader_that_is_gone_ends_it() -> None:
    with pytest.raises(BrokenPipeError):
        Console(file=Full(errno.EPIPE)).finish()


def called(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def around(source: str) -> list[str]:
    """How a file prints past `pipelines.console`."""
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            for alias in node.names:
                name = f"{module}.{alias.name}".strip(".")
                if (
                    name.startswith(
                        ("rich.console", "rich.markup", "rich.print", "rich.get_console")
                    )
                    or name == "rich"
                ):
                    found.append(name)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            words = {each.arg: each.value for each in node.keywords}
            if name.endswith(
                ("from_markup", "typer.echo", "typer.secho", "click.echo", "render_markup")
            ):
                found.append(name)
            for word in ("markup", "emoji"):
                if word in words and ast.unparse(words[word]) != "False":
                    found.append(f"{name}({word}=)")
            if name == "TextColumn" and "markup" not in words:
                found.append(name)
    return found


def test_nothing_prints_around_the_console() -> None:
    found = {
        str(path.relative_to(ROOT)): ways
        for path in sorted((ROOT / "pipelines").rglob("*.py"))
        if path != ROOT / "pipelines/console.py" and (ways := around(path.read_text("utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "from rich.console import Console",
        "import rich.console",
        "from rich import print",
        "import rich",
        "from rich.markup import escape",
        "Text.from_markup(x)",
        "console.print(x, markup=True)",
        "typer.echo(x)",
        "TextColumn(x)",
    ],
)
def test_the_search_finds_every_way_around(source: str) -> None:
    assert around(source)


def ran(
    arguments: list[str], encoding: str = "ascii", cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, **more}
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, cwd=cwd, timeout=120)


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "iso8859-2", "euc-jp", "utf-8"])
def test_a_terminal_of_any_encoding(encoding: str, tmp_path: Path) -> None:
    out = "ü·日[red]ł"
    done = ran(["synth", "--people", "2", "--images", "1", "--out", out], encoding, tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = out.encode(encoding.partition(":")[0], "replace")
    assert done.stdout == b"  drawing ...\n18 pictures in " + expected + b"\n"
    again = ran(["evaluate", out], encoding, tmp_path)
    assert again.returncode == 2
    assert b"error no run at " in again.stderr
    assert expected in again.stderr
    assert again.stderr.count(b"\n") == 1


def test_a_name_that_is_no_text_at_all(tmp_path: Path) -> None:
    for arguments in (["evaluate", "caf\udce9"], ["config", "model.name=caf\udce9"]):
        done = ran(arguments, "utf-8:strict", tmp_path)
        assert done.returncode == 2
        assert b"\\udce9' is no text in this locale's encoding, utf-8" in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_what_is_to_be_read_by_programs_is_printed_as_it_is(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: {{pretrained: '{'x y ' * 60}/[red]:smile:.pt'}}", "utf-8")
    done = ran(["config", "--recipe", str(recipe)], "utf-8", tmp_path, COLUMNS="20")
    assert yaml.safe_load(done.stdout) == load_config(str(recipe)).model_dump(mode="json")


def test_help_in_ascii_has_frames_of_ascii() -> None:
    done = ran(["--help"], "ascii", COLUMNS="80")
    assert done.returncode == 0
    assert b"+- Options -" in done.stdout
    assert b"?" not in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_lost_is_said_in_one_line() -> None:
    command = [sys.executable, "-m", "pipelines.cli", "config"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == b"error the output is not complete: No space left on device\n"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    words = f"'{sys.executable}' -m pipelines.cli config {closed}>&-"
    done: Any = subprocess.run(["sh", "-c", words], capture_output=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
