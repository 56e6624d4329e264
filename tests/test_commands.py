"""The commands that the Makefile and the pages show are commands that the programs have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pipelines.cli import app
from pipelines.config import load_config

ROOT = Path(__file__).resolve().parents[1]
JOBS = "cluster_configs/jobs/README.md"


def shown() -> list[str]:
    text = (ROOT / "Makefile").read_text() + (ROOT / "README.md").read_text()
    lines = re.findall(r"^(?:\t@\$\(BIN\)/|    (?:\.venv/bin/)?)(itkm .*?)(?:\s+#.*)?$", text, re.M)
    return [re.sub(r"\[.*?\]", "", line.replace("$(DEMO)", "demo")) for line in lines]


def shown_of_ray(*pages: str) -> list[str]:
    """`ray ...` lines of the pages, each in one line."""
    text = "".join((ROOT / page).read_text() for page in pages)
    return re.findall(r"^ {4,}(ray .*?)$", re.sub(r"\\\n\s*", "", text), re.M)


def parsed(words: list[str]) -> dict[str, Any]:
    """The parameters of an `itkm` command as it is typed; raises what the command would."""
    name, *arguments = words
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    assert command is not None, f"no command {name!r}"
    with command.make_context(name, arguments) as context:
        return dict(context.params)


def parsed_by_ray(words: list[str]) -> dict[str, Any]:
    """The parameters of a `ray` command as it is typed; raises what the command would."""
    from ray.scripts.scripts import cli

    command: Any = cli
    while hasattr(command, "get_command"):
        name, *words = words
        found = command.get_command(None, name)
        assert found is not None, f"no command {name!r}"
        command = found
    with command.make_context(command.name, words) as context:
        return dict(context.params)


def test_the_demo_and_the_readme_are_found() -> None:
    commands = {shlex.split(line)[1] for line in shown()}
    assert {"synth", "ingest", "run", "config", "dag", "evaluate"} <= commands


@pytest.mark.parametrize("line", shown())
def test_a_shown_command_has_the_options_it_is_shown_with(line: str) -> None:
    parsed(shlex.split(line)[1:])


@pytest.mark.parametrize("line", shown_of_ray("README.md", "docs/kubernetes.md", JOBS))
def test_a_shown_command_of_ray_has_its_options_and_starts_what_itkm_can_do(line: str) -> None:
    given = parsed_by_ray(shlex.split(line)[1:])
    if "entrypoint" not in given:
        return
    # Without a terminal no option is asked for again, and one behind `--` would be lost in the command.
    assert given["no_wait"]
    assert given["entrypoint_resources"] == '{"itkm_driver": 1}'
    if given["working_dir"] is not None:
        assert given["entrypoint"][:3] == ("python", "-m", "pipelines.cli")
        command = given["entrypoint"][3:]
    else:
        assert given["entrypoint"][0] == "itkm"
        command = given["entrypoint"][1:]
    asked = parsed(list(command))
    load_config(asked["recipe"], asked["overrides"] or [])
    for place in ("corpus", "out"):
        assert asked[place].startswith("/data/"), "a job's own folder is Ray's"


def test_the_page_of_jobs_shows_labels_one_scenario_all_of_them_and_an_ablation() -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / JOBS).read_text())
    lines = re.findall(r"^    (ray job submit .*?) -- (.*)$", text, re.M)
    with_nodes_code = [command for options, command in lines if "--working-dir" not in options]
    assert [command.split()[1] for command in with_nodes_code] == ["label", "run", "run", "ablate"]
    alone, joint = (parsed(shlex.split(command)[1:]) for command in with_nodes_code[1:3])
    assert load_config(alone["recipe"], alone["overrides"]).only == ("uvi",)
    assert not load_config(joint["recipe"], joint["overrides"] or []).only
    options = {options.replace(" --working-dir .", "") for options, _ in lines}
    (options,) = options
    given = parsed_by_ray(shlex.split(f"{options} -- itkm")[1:])
    assert (ROOT / given["runtime_env"]).is_file()
    assert f"{options} -- {with_nodes_code[2]}" in shown_of_ray("README.md")
