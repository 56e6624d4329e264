"""docs/kubernetes.md shows what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import typer.main
from kube_manifests import (
    APPLIED,
    KUBERAY,
    OVERLAYS,
    ROOT,
    objects,
    pods,
    ray_spec,
    read,
    the,
    tool,
)
from pod_rules import size

from pipelines.cli import app

TEXT = (ROOT / "docs/kubernetes.md").read_text()


def test_what_is_applied_is_there_and_all_of_it_is_shown() -> None:
    shown = set(re.findall(r"kubectl (?:apply -k|kustomize) (\S+)", TEXT))
    assert shown <= {f"cluster_configs/kuberay/{folder}" for folder in APPLIED}
    for folder in ("setup", "claim", "identity", "queue", "loader"):
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
    jobs = [
        row
        for row, line in enumerate(lines)
        if re.search(r"kubectl (apply|kustom).*/overlays/", line)
    ]
    assert len(jobs) > 2
    assert {lines[row - 1] for row in jobs} == {DELETE}
    name = DELETE.split()[5]
    for overlay in set(OVERLAYS) - {"cluster"}:
        assert the(objects(f"overlays/{overlay}"), "RayJob")["metadata"]["name"] == name


def test_a_pod_is_waited_for_before_it_is_asked() -> None:
    asking = {"cp": "wait pod/itkm-loader", "logs": "wait rayjob/itkm"}
    lines = commands()
    for row, line in enumerate(lines):
        verb = re.sub(r"^(for .*; do )?kubectl -n itkm ", "", line).split(" ")[0]
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


def test_no_command_waits_for_ever() -> None:
    for line in commands():
        assert not re.match(r"(until|while)\b", line), line
        assert "kubectl -n itkm wait" not in line or "--timeout=" in line, line


def test_the_log_that_never_comes_is_given_up(tmp_path: Path) -> None:
    (line,) = [each for each in commands() if " logs -f " in each]
    for program, script in (
        ("kubectl", 'printf "%s\\n" "$*" >> calls; exit 1'),
        ("sleep", "exit 0"),
    ):
        (tmp_path / program).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / program).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", line], cwd=tmp_path, env=env, check=False, timeout=60)
    assert (tmp_path / "calls").read_text().splitlines() == ["-n itkm logs -f job/itkm"] * 60


def test_the_operator_waits_longer_than_a_new_head_takes() -> None:
    (line,) = [each for each in commands() if "helm install" in each]
    words = shlex.split(line)
    values = dict(word.split("=", 1) for word in words if word.startswith("env[0]."))
    assert values["env[0].name"] == "RAYJOB_STATUS_CHECK_TIMEOUT_SECONDS"
    # A number would be refused by the API server: an environment variable is a string.
    assert words[words.index(f"env[0].value={values['env[0].value']}") - 1] == "--set-string"
    seconds = int(values["env[0].value"])
    job = the(objects("overlays/gang"), "RayJob")["spec"]
    assert seconds >= job["preRunningDeadlineSeconds"]
    assert f"{seconds // 60} minutes, as installed above" in TEXT
    ends = (job["backoffLimit"] + 1) * job["preRunningDeadlineSeconds"] // 60
    assert f"ends after about {ends} minutes" in TEXT
    for reason in ("PreRunningDeadlineExceeded", "JobStatusCheckTimeoutExceeded"):
        assert reason in TEXT
    namespace = words[words.index("-n") + 1]
    (policy,) = [d for d in objects("setup") if d["metadata"]["name"] == "dashboard"]
    _, operator = policy["spec"]["ingress"][0]["from"]
    assert operator["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": namespace}
    }


def test_the_dashboard_is_the_running_clusters() -> None:
    (line,) = [each for each in commands() if each.startswith("CLUSTER=")]
    assert "rayjob itkm" in line
    assert ".status.rayClusterName" in line
    name = the(objects("overlays/cluster"), "RayCluster")["metadata"]["name"]
    assert f"`CLUSTER={name}`" in TEXT


def amount(quantity: str) -> float:
    """Of CPUs, GPUs or bytes."""
    if quantity.endswith("i"):
        return size(quantity)
    return int(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1)


def test_the_example_of_a_queue_takes_the_job_and_the_page_counts_its_pods() -> None:
    documents, queue = objects("overlays/gang-kueue"), objects("queue")
    job = the(documents, "RayJob")
    replicas = {g["groupName"]: g["replicas"] for g in ray_spec(documents)["workerGroupSpecs"]}
    needed: dict[str, float] = {}
    small: dict[str, float] = {}
    for name, template in pods(documents):
        (container,) = template["spec"]["containers"]
        for resource, quantity in container["resources"]["requests"].items():
            if name == "redis":
                continue  # no part of the job
            needed.setdefault(resource, 0)
            needed[resource] += amount(quantity) * replicas.get(name, 1)
            if name != "gpu":
                small[resource] = small.get(resource, 0) + amount(quantity)
    (group,) = the(queue, "ClusterQueue")["spec"]["resourceGroups"]
    (flavour,) = group["flavors"]
    quotas = {each["name"]: amount(each["nominalQuota"]) for each in flavour["resources"]}
    assert list(quotas) == group["coveredResources"]
    assert quotas.keys() == needed.keys()
    assert all(quotas[resource] >= needed[resource] for resource in needed)
    assert flavour["name"] == the(queue, "ResourceFlavor")["metadata"]["name"]
    local = the(queue, "LocalQueue")
    assert local["spec"]["clusterQueue"] == the(queue, "ClusterQueue")["metadata"]["name"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["metadata"]["name"]
    memory, disk = (small[each] / 2**30 for each in ("memory", "ephemeral-storage"))
    words = f"plus {small['cpu']:g} CPUs, {memory:g} GiB of memory and {disk:g} GiB of disk for"
    assert words in " ".join(TEXT.split())


def test_what_the_autoscalers_account_may_is_said() -> None:
    component = (KUBERAY / "components/autoscale/kustomization.yaml").read_text()
    for text in (" ".join(TEXT.split()), " ".join(component.replace("#", " ").split())):
        assert "may read and patch every pod and every RayCluster of the namespace" in text
        assert "whoever runs code on the head has these rights" in text


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([a-z]+\.md)\)", TEXT):
        assert (ROOT / "docs" / target).is_file(), target
