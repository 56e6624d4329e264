"""docs/kubernetes.md shows what there is."""

from __future__ import annotations

import re
import shlex
import subprocess

import typer.main
from kube_manifests import APPLIED, OVERLAYS, ROOT, objects, read, the, tool

from pipelines.cli import app

TEXT = (ROOT / "docs/kubernetes.md").read_text()


def test_what_is_applied_is_there_and_all_of_it_is_shown() -> None:
    shown = set(re.findall(r"kubectl (?:apply -k|kustomize) (\S+)", TEXT))
    assert shown <= {f"cluster_configs/kuberay/{folder}" for folder in APPLIED}
    for folder in ("setup", "claim", "identity", "loader"):
        assert f"cluster_configs/kuberay/{folder}" in shown
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.M)
    assert sorted(rows) == OVERLAYS


def test_the_commands_shown_have_the_options_they_are_shown_with() -> None:
    lines = re.findall(r"^ {4,}(itkm .*)$", TEXT, re.M)
    assert lines
    for line in lines:
        _, name, *arguments = shlex.split(line)
        command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
        command.make_context(name, arguments).close()


DELETE = "kubectl -n itkm delete rayjob itkm --ignore-not-found"


def commands() -> list[str]:
    """The page's commands from top to bottom, lines that belong together as one."""
    shown = "\n".join(re.findall(r"^ {4}(.*)$", TEXT, re.M))
    return re.sub(r"[|\\]\n +", lambda found: found[0][0], shown).split("\n")


def test_every_job_is_applied_after_the_one_before_is_deleted() -> None:
    lines = commands()
    jobs = [row for row, line in enumerate(lines) if "kuberay/overlays/" in line]
    assert len(jobs) > 2
    assert {lines[row - 1] for row in jobs} == {DELETE}
    name = DELETE.split()[5]
    for overlay in set(OVERLAYS) - {"cluster"}:
        assert the(objects(f"overlays/{overlay}"), "RayJob")["metadata"]["name"] == name


def test_a_pod_is_waited_for_before_it_is_asked() -> None:
    asking = {"cp": "wait pod/itkm-loader", "logs": "wait rayjob/itkm"}
    lines = commands()
    for row, line in enumerate(lines):
        verb = line.removeprefix("until ").removeprefix("kubectl -n itkm ").split(" ")[0]
        if verb in asking:
            assert lines[row - 1].startswith(f"kubectl -n itkm {asking.pop(verb)} --for="), line
    assert not asking


def test_the_doctor_takes_the_place_of_the_run_and_is_not_retried() -> None:
    (line,) = [each for each in commands() if "itkm doctor" in each]
    made, applied, end = line.rpartition("| kubectl apply -f -")
    assert applied
    assert not end
    made = made.replace("kubectl", shlex.quote(tool("kubectl")))
    done = subprocess.run(["sh", "-c", made], cwd=ROOT, capture_output=True, text=True, check=True)
    changed, plain = the(read(done.stdout), "RayJob"), the(objects("overlays/one-gpu"), "RayJob")
    assert changed["spec"].pop("backoffLimit") == 0
    assert plain["spec"].pop("backoffLimit") == 2
    run, doctor = plain["spec"].pop("entrypoint"), changed["spec"].pop("entrypoint")
    assert doctor == run.replace("itkm run ", "itkm doctor ")
    assert doctor != run
    assert changed == plain
    _, name, *arguments = shlex.split(doctor)
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    command.make_context(name, arguments).close()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([a-z]+\.md)\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
