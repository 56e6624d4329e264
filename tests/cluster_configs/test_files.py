"""What the files alone show, without kubectl: references that exist, settings that are used, objects that fit."""

from __future__ import annotations

import re
import shutil
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
    kustomizations,
    kustomize,
    plain_files,
    read,
    rendered,
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


def test_every_component_is_used() -> None:
    used = {
        (KUBERAY / "overlays" / name / component).resolve()
        for name in OVERLAYS
        for component in read((KUBERAY / "overlays" / name / "kustomization.yaml").read_text())[0][
            "components"
        ]
    }
    assert used == {path.resolve() for path in KUBERAY.glob("components/*")}


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
    placeholders = {*SETTINGS, "CPUS", "MEMORY", "IMAGE", "COMMAND"}
    words = set(re.findall(r"[A-Z][A-Z_0-9]+", rendered(folder)))
    assert not words & placeholders
    assert "itkm-settings" not in rendered(folder)


def test_a_changed_setting_arrives(tmp_path: Path) -> None:
    copy = shutil.copytree(KUBERAY, tmp_path / "kuberay")
    marked = {key: f"changed-{row}-" for row, key in enumerate(SETTINGS)}
    settings = copy / "settings/settings.yaml"
    document = yaml.safe_load(settings.read_text())
    settings.write_text(yaml.safe_dump({**document, "data": marked}))
    overlays = ("one-gpu", "gang", "gang-kueue", "label-cpu")
    made = "".join(
        kustomize(copy / folder) for folder in ("claim", *map("overlays/{}".format, overlays))
    )
    assert {key for key, value in marked.items() if value not in made} == set()


def test_no_address_of_a_machine_is_in_the_files() -> None:
    for path in (ROOT / "cluster_configs").rglob("*"):
        if path.is_file():
            assert not re.search(r"\b(?!127\.0\.0\.1)\d+\.\d+\.\d+\.\d+\b", path.read_text()), path
