"""What is applied to a cluster is valid, and says what the program and the image say."""

from __future__ import annotations

import json
import shlex
import tomllib

import pytest
import typer.main
import yaml
from crd_schema import Schemas, wrong
from kube_manifests import (
    APPLIED,
    KUBERAY,
    MONITORED,
    ROOT,
    VARIANTS,
    groups,
    objects,
    pods,
    ray_spec,
    the,
)
from packaging.requirements import Requirement

from pipelines.cli import app

JOBS = [name for name in VARIANTS if not name.startswith("cluster")]
# The whole cluster's, which have no namespace.
WIDE = {"Namespace", "ResourceFlavor", "ClusterQueue"}


@pytest.mark.parametrize("folder", APPLIED)
def test_every_object_fits_its_schema(folder: str, schemas: Schemas) -> None:
    assert [each for document in objects(folder) for each in wrong(document, schemas)] == []


@pytest.mark.parametrize("folder", APPLIED)
def test_every_pod_is_one_that_kubernetes_takes(folder: str) -> None:
    for name, template in pods(objects(folder)):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        assert wrong({**pod, "spec": template["spec"]}, {}) == []


@pytest.mark.parametrize("folder", APPLIED)
def test_all_is_in_one_namespace_and_named_once(folder: str) -> None:
    documents = objects(folder)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(set(names)) == len(names)
    for document in documents:
        space = None if document["kind"] in WIDE else "itkm"
        assert document["metadata"].get("namespace") == space


@pytest.mark.parametrize("overlay", VARIANTS)
def test_deleting_an_overlay_deletes_no_data_and_opens_nothing(overlay: str) -> None:
    kinds = {document["kind"] for document in objects(f"overlays/{overlay}")}
    assert not kinds & {"PersistentVolumeClaim", "Namespace", "ServiceAccount"}
    for document in objects(f"overlays/{overlay}"):
        if document["kind"] == "NetworkPolicy":  # each only adds to the one that closes everything
            assert document["metadata"]["name"] != "nothing"


@pytest.mark.parametrize("overlay", VARIANTS)
def test_ray_is_the_images_and_the_projects(overlay: str) -> None:
    pins = (ROOT / "cluster_configs/docker/constraints.txt").read_text().splitlines()
    version = ray_spec(objects(f"overlays/{overlay}"))["rayVersion"]
    assert f"ray=={version}" in pins
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    (lowest,) = wanted.specifier
    assert lowest.operator == ">="
    assert version.rpartition(".")[0] == lowest.version


@pytest.mark.parametrize("overlay", VARIANTS)
def test_one_image_for_all_of_ray(overlay: str) -> None:
    documents = objects(f"overlays/{overlay}")
    images = {
        container["image"]
        for name, template in pods(documents)
        if name != "redis"
        for container in template["spec"]["containers"]
    }
    settings = yaml.safe_load((KUBERAY / "settings/settings.yaml").read_text())["data"]
    gpu = "gpu" in groups(ray_spec(documents))
    assert images == {settings["IMAGE_GPU" if gpu else "IMAGE_CPU"]}


@pytest.mark.parametrize("overlay", VARIANTS)
def test_the_driver_has_a_place_of_its_own_and_tasks_are_not_on_the_head(overlay: str) -> None:
    documents = objects(f"overlays/{overlay}")
    by_name = groups(ray_spec(documents))
    # A driver that held a CPU would leave training, which asks for all of them, to wait for ever.
    for name, group in by_name.items():
        given = {key: each for key, each in group["resources"].items() if key != "memory"}
        wanted = {"head": {"CPU": "0"}, "driver": {"CPU": "0", "itkm_driver": "1"}}
        assert given == wanted.get(name, {})
        # The operator writes into this map, and a map that is empty is lost on the way from a job to its cluster.
        assert group["rayStartParams"]
    if overlay in JOBS:
        job = the(documents, "RayJob")["spec"]
        assert json.loads(job["entrypointResources"]) == {"itkm_driver": 1}
        assert not {"entrypointNumCpus", "entrypointNumGpus"} & job.keys()


@pytest.mark.parametrize("overlay", JOBS)
def test_a_job_ends_retries_and_cleans_up(overlay: str) -> None:
    job = the(objects(f"overlays/{overlay}"), "RayJob")["spec"]
    assert job["submissionMode"] == "K8sJobMode"
    assert job["submitterConfig"] == {"backoffLimit": 3}
    assert job["backoffLimit"] == 2
    assert job["preRunningDeadlineSeconds"] == 1800
    assert job["activeDeadlineSeconds"] > 86400
    assert job["shutdownAfterJobFinishes"] is True
    assert job["ttlSecondsAfterFinished"] == 600
    assert "runtimeEnvYAML" not in job  # code and packages are the image's


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_gpu_group_is_a_gang(overlay: str) -> None:
    for name, group in groups(ray_spec(objects(f"overlays/{overlay}"))).items():
        (container,) = group["template"]["spec"]["containers"]
        asked = {**container["resources"]["requests"]}
        asked.pop("ephemeral-storage")  # of which each volume has its own limit
        assert container["resources"]["limits"] == asked
        gpus = int(container["resources"]["limits"].get("nvidia.com/gpu", 0))
        assert (gpus > 0) == (name == "gpu")
        if gpus:
            sizes = {group[key] for key in ("replicas", "minReplicas", "maxReplicas")}
            assert sizes == {2 if overlay.startswith("gang") else 1}
            assert gpus == (8 if overlay.startswith("gang") else 1)
            (toleration,) = group["template"]["spec"]["tolerations"]
            assert toleration["key"] == "nvidia.com/gpu"


def test_the_autoscaler_adds_workers_without_a_gpu() -> None:
    spec = ray_spec(objects("overlays/gang"))
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["version"] == "v2"
    cpu = groups(spec)["cpu"]
    assert (cpu["replicas"], cpu["minReplicas"]) == (0, 0)
    assert cpu["maxReplicas"] > 0
    for overlay in set(VARIANTS) - {"gang", "gang+monitoring"}:
        assert "enableInTreeAutoscaling" not in ray_spec(objects(f"overlays/{overlay}"))


def commands(overlay: str) -> list[list[str]]:
    """The `itkm` commands of an overlay's entrypoint, as a shell would split them."""
    entrypoint = the(objects(f"overlays/{overlay}"), "RayJob")["spec"]["entrypoint"]
    assert "$" not in entrypoint  # the submitting pod's shell would read it first
    words = shlex.split(entrypoint)
    if words[:2] == ["bash", "-c"]:
        (line,) = words[2:]
        return [shlex.split(part) for part in line.split("&&")]
    return [words]


@pytest.mark.parametrize("overlay", JOBS)
def test_an_entrypoint_is_a_command_of_the_program(overlay: str) -> None:
    mounts = {
        mount["mountPath"]
        for name, template in pods(objects(f"overlays/{overlay}"))
        if name not in ("submitter", "redis")
        for mount in template["spec"]["containers"][0]["volumeMounts"]
    }
    for program, name, *arguments in commands(overlay):
        assert program == "itkm"
        command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
        assert command is not None, name
        command.make_context(name, list(arguments)).close()
        places = [word for word in arguments if "/" in word]
        assert places
        for place in places:
            assert place.startswith("/data/" if "/data" in mounts else "s3://")


def test_the_demo_is_the_makefiles() -> None:
    made = (
        (ROOT / "Makefile").read_text().replace("\t@$(BIN)/", "").replace("$(DEMO)", "/data/demo")
    )
    lines = [shlex.split(line) for line in made.splitlines() if line.startswith("itkm ")]
    assert commands("demo") == lines


@pytest.mark.parametrize(
    "folder", sorted({*APPLIED} - {"queue", *map("overlays/{}".format, MONITORED)})
)
def test_kuberay_is_all_that_must_be_installed(folder: str) -> None:
    """A kind that the cluster has not is refused, when the job in the same `apply` has already been started."""
    known = {"v1", "apps/v1", "policy/v1", "networking.k8s.io/v1", "ray.io/v1"}
    assert {document["apiVersion"] for document in objects(folder)} <= known


@pytest.mark.parametrize("overlay", MONITORED)
def test_the_pod_monitor_reads_ports_that_are_there(overlay: str) -> None:
    documents = objects(f"overlays/{overlay}")
    monitor = the(documents, "PodMonitor")["spec"]
    asked = {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
    by_name = groups(ray_spec(documents))
    ports = {
        name: {port["name"] for port in group["template"]["spec"]["containers"][0]["ports"]}
        for name, group in by_name.items()
    }
    assert asked <= ports["head"]
    assert all("metrics" in of_group for of_group in ports.values())
    for group in by_name.values():
        labels = group["template"]["metadata"]["labels"]
        assert monitor["selector"].keys() == {"matchLabels"}
        assert monitor["selector"]["matchLabels"].items() <= labels.items()


def test_head_ports_are_the_ones_ray_uses() -> None:
    head = groups(ray_spec(objects("overlays/one-gpu")))["head"]
    ports = head["template"]["spec"]["containers"][0]["ports"]
    assert {port["name"]: port["containerPort"] for port in ports} == {
        "gcs-server": 6379,
        "dashboard": 8265,
        "client": 10001,
        "metrics": 8080,
        "as-metrics": 44217,
        "dash-metrics": 44227,
    }
