"""docs/kubernetes.md shows what there is."""

from __future__ import annotations

import re
import shlex

import typer.main
from kube_manifests import APPLIED, OVERLAYS, ROOT

from pipelines.cli import app

TEXT = (ROOT / "docs/kubernetes.md").read_text()


def test_what_is_applied_is_there_and_all_of_it_is_shown() -> None:
    shown = set(re.findall(r"kubectl apply -k (\S+)", TEXT))
    assert shown <= {f"cluster_configs/kuberay/{folder}" for folder in APPLIED}
    for folder in ("setup", "claim", "loader"):
        assert f"cluster_configs/kuberay/{folder}" in shown
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.M)
    assert sorted(rows) == OVERLAYS


def test_the_commands_shown_have_the_options_they_are_shown_with() -> None:
    lines = re.findall(r"^ {4,}(?:LABEL: )?(itkm .*)$", TEXT, re.M)
    assert len(lines) == 2
    for line in lines:
        _, name, *arguments = shlex.split(line)
        command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
        command.make_context(name, arguments).close()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([a-z]+\.md)\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
