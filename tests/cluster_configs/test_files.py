"""What the files alone show, without kubectl: references that exist, settings that are used, objects that fit."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from crd_schema import Schemas, wrong
from kube_manifests import (
    APPLIED,
    KUBERAY,
    OVERLAYS,
    ROOT,
    groups,
    kustomizations,
    kustomize,
    plain_files,
    pods,
    read,
    rendered,
    the,
    use_comment,
)

SETTINGS = yaml.safe_load((KUBERAY / "settings/settings.yaml").read_text())["data"]
# A job gets its cluster from kustomize.
WITHOUT_ITS_CLUSTER = {"RayJob": [".spec.rayClusterSpec.headGroupSpec: missing"]}


def named(path: Path) -> str:
    return str(path.relative_to(KUBERAY))


@pytest.mark.parametrize("path", kustomizations(), ids=named)
def test_what_a_kustomization_names_is_there(path: Path) -> None:
    (kustomization,) = read(path.read_text())
    for name in kustomization.get("resources", []):
        target = path.parent / name
        assert target.is_file() or (target / "kustomization.yaml").is_file(), name
    for name in kustomization.get("components", []):
        (component,) = read((path.parent / name / "kustomization.yaml").read_text())
        assert component["kind"] == "Component"
    beside = {each.name for each in path.parent.glob("*.yaml")} - {"kustomization.yaml"}
    assert beside <= set(kustomization.get("resources", [])), "a file that nothing names"


# It needs kinds that not every cluster knows.
ON_PURPOSE = {KUBERAY / "components/monitoring"}


def test_every_component_is_used_and_those_that_need_more_are_not() -> None:
    used = {
        (KUBERAY / "overlays" / name / component).resolve()
        for name in OVERLAYS
        for component in read((KUBERAY / "overlays" / name / "kustomization.yaml").read_text())[0][
            "components"
        ]
    }
    assert used == {path.resolve() for path in KUBERAY.glob("components/*")} - ON_PURPOSE


@pytest.mark.parametrize("path", plain_files(), ids=named)
def test_a_plain_manifest_fits_its_schema(path: Path, schemas: Schemas) -> None:
    for document in read(path.read_text()):
        # Quantities still hold the names of settings, which only kustomize replaces.
        found = [each for each in wrong(document, schemas) if "does not match" not in each]
        assert found == WITHOUT_ITS_CLUSTER.get(document["kind"], [])


def settings_in(node: Any) -> set[str]:
    """The settings that a kustomization copies."""
    return {
        replacement["source"]["fieldPath"].removeprefix("data.")
        for replacement in node.get("replacements", [])
        if replacement["source"]["kind"] == "ConfigMap"
    }


def test_every_setting_is_used_and_every_one_used_is_there() -> None:
    used = [settings_in(read(path.read_text())[0]) for path in kustomizations()]
    assert set().union(*used) == SETTINGS.keys()
    assert all(isinstance(value, str) for value in SETTINGS.values())


@pytest.mark.parametrize("folder", APPLIED)
def test_every_placeholder_is_replaced_and_the_settings_stay_behind(folder: str) -> None:
    others = {"CPUS", "MEMORY", "TASK_MEMORY", "DISK", "IMAGE", "COMMAND", "CORPUS", "OUT"}
    placeholders = {*SETTINGS, *others}
    words = set(re.findall(r"[A-Z][A-Z_0-9]+", rendered(folder)))
    assert not words & placeholders
    assert "itkm-settings" not in rendered(folder)


# An address with all that a shell would take for its own.
HOSTILE = "s3://b/{}?scheme=http&region=$HOME;x #*(y)"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """Settings that are found again in what comes out, and what comes out, by folder."""
    copy = shutil.copytree(KUBERAY, tmp_path_factory.mktemp("changed") / "kuberay")
    marked = {
        key: str(90_000 + row) if value.isdigit() else f"changed-{row}-"
        for row, (key, value) in enumerate(SETTINGS.items())
    }
    marked |= {key: HOSTILE.format(key) for key in ("CORPUS_S3", "OUT_S3")}
    settings = copy / "settings/settings.yaml"
    document = yaml.safe_load(settings.read_text())
    settings.write_text(yaml.safe_dump({**document, "data": marked}))
    use_comment(copy / "overlays/gang", "monitoring")
    overlays = ("one-gpu", "gang", "gang-kueue", "label-cpu", "ingest")
    folders = ("setup", "claim", "queue", *map("overlays/{}".format, overlays))
    return marked, {folder: kustomize(copy / folder) for folder in folders}


def test_a_changed_setting_arrives(changed: tuple[dict[str, str], dict[str, str]]) -> None:
    marked, made = changed
    # As objects again: a long line is broken in the text.
    together = repr([read(text) for text in made.values()])
    assert {key for key, value in marked.items() if value not in together} == set()


def test_the_settings_of_pods_reach_every_pod(tmp_path: Path) -> None:
    copy = shutil.copytree(KUBERAY, tmp_path / "kuberay")
    path = copy / "settings/pods.yaml"
    everyone, with_gpu = read(path.read_text())
    secrets = [{"name": "my-registry"}, {"name": "another"}]
    everyone["template"]["spec"].update(
        imagePullSecrets=secrets, priorityClassName="urgent", nodeSelector={"pool": "cpu"}
    )
    with_gpu["template"]["spec"]["nodeSelector"] = {"pool": "gpu", "disk": "large"}
    path.write_text(yaml.safe_dump_all([everyone, with_gpu]))
    seen = set()
    for folder in ("loader", *map("overlays/{}".format, OVERLAYS)):
        for name, template in pods(read(kustomize(copy / folder))):
            spec = template["spec"]
            assert spec["imagePullSecrets"] == secrets
            assert spec["priorityClassName"] == "urgent"
            nodes = with_gpu if name == "gpu" else everyone
            assert spec["nodeSelector"] == nodes["template"]["spec"]["nodeSelector"], (folder, name)
            seen.add(name)
    assert seen == {"head", "driver", "gpu", "cpu", "submitter", "redis", "itkm-loader"}


@pytest.mark.parametrize("folder", ["loader", *map("overlays/{}".format, OVERLAYS)])
def test_pods_go_anywhere_until_someone_says_where(folder: str) -> None:
    for _, template in pods(read(rendered(folder))):
        assert template["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert template["spec"]["priorityClassName"] == ""
        (secret,) = template["spec"]["imagePullSecrets"]
        page = (ROOT / "docs/kubernetes.md").read_text()
        assert f"create secret docker-registry {secret['name']} " in page


def test_a_number_arrives_wherever_it_is_repeated_and_stays_one(
    changed: tuple[dict[str, str], dict[str, str]],
) -> None:
    marked, made = changed
    documents = read(made["overlays/gang"])
    (budget,) = [
        document["spec"]["minAvailable"]
        for document in documents
        if document["metadata"]["name"] == "itkm-workers"
    ]
    job = the(documents, "RayJob")["spec"]
    assert job["activeDeadlineSeconds"] == int(marked["DEADLINE_SECONDS"])
    cluster = groups(job["rayClusterSpec"])
    machines = int(marked["GANG_MACHINES"])
    gang = cluster["gpu"]
    assert {budget, gang["replicas"], gang["minReplicas"], gang["maxReplicas"]} == {machines}
    resources = gang["template"]["spec"]["containers"][0]["resources"]
    gpus = {resources[of]["nvidia.com/gpu"] for of in ("limits", "requests")}
    assert gpus == {marked["GANG_GPUS"]}
    assert cluster["cpu"]["maxReplicas"] == int(marked["CPU_WORKERS"])
    (s3,) = [d for d in read(made["overlays/gang-kueue"]) if d["metadata"]["name"] == "s3"]
    assert s3["spec"]["egress"][0]["ports"][0]["port"] == int(marked["S3_PORT"])


def test_an_address_survives_the_shell_of_the_submitting_pod(
    changed: tuple[dict[str, str], dict[str, str]],
) -> None:
    marked, made = changed
    entrypoint = the(read(made["overlays/gang-kueue"]), "RayJob")["spec"]["entrypoint"]
    script = f"printf '%s\\0' {entrypoint} ; exit 0"
    said = subprocess.run(["bash", "-ce", script], capture_output=True, text=True, check=True)
    assert said.stdout.split("\0")[:-1] == [
        marked["RUN_S3"],
        "--corpus",
        marked["CORPUS_S3"],
        "--out",
        marked["OUT_S3"],
    ]


def test_no_address_of_a_machine_is_in_the_files() -> None:
    # A machine's own services have the same link-local addresses everywhere.
    address = re.compile(r"\b(?!127\.0\.0\.1|169\.254\.)\d+\.\d+\.\d+\.\d+\b")
    for path in (ROOT / "cluster_configs").rglob("*"):
        if path.is_file():
            assert not address.search(path.read_text()), path
