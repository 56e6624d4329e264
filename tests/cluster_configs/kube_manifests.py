"""Reads the manifests: as files, and as `kubectl kustomize` puts them together."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERAY = ROOT / "cluster_configs" / "kuberay"
OVERLAYS = sorted(path.parent.name for path in KUBERAY.glob("overlays/*/kustomization.yaml"))
# With the component that is a comment in some overlays, for users who have the Prometheus Operator.
MONITORED = ["cluster+monitoring", "gang+monitoring"]
VARIANTS = [*OVERLAYS, *MONITORED]
# All that is applied: setup and claim once (identity where storage has no keys, queue where Kueue has none), the loader
# when there is something to copy, an overlay for each job.
APPLIED = ["setup", "claim", "identity", "queue", "loader", *map("overlays/{}".format, VARIANTS)]

Document = dict[str, Any]


class UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML in which a key may come once, as for kubectl."""


def _mapping(loader: Any, node: Any) -> Document:
    loader.flatten_mapping(node)
    pairs = [
        (loader.construct_object(k, True), loader.construct_object(v, True)) for k, v in node.value
    ]
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"keys twice: {twice}", node.start_mark)
    return dict(pairs)


UniqueKeys.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(text: str) -> list[Document]:
    """The documents of a YAML stream."""
    return [document for document in yaml.load_all(text, UniqueKeys) if document]


def plain_files() -> list[Path]:
    """The files that hold Kubernetes objects, not kustomizations."""
    return sorted(p for p in KUBERAY.rglob("*.yaml") if p.name != "kustomization.yaml")


def kustomizations() -> list[Path]:
    return sorted(KUBERAY.rglob("kustomization.yaml"))


def tool(name: str) -> str:
    """The path of a program that comes with the extra `test`; skips where it is missing."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here; the extra `test` brings one on Linux")
    return found


def kustomize(folder: Path) -> str:
    """What `kubectl kustomize` makes of a folder."""
    command = [tool("kubectl"), "kustomize", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"{folder}: {made.stderr}"
    return made.stdout


def use_comment(overlay: Path, component: str) -> None:
    """Edit an overlay as a user does who wants a component that it has as a comment."""
    path = overlay / "kustomization.yaml"
    text = path.read_text()
    used = re.sub(rf"^# (- ../../components/{component}) #.*$", r"\1", text, flags=re.M)
    assert used != text
    path.write_text(used)


@cache
def rendered(folder: str) -> str:
    """As `kustomize`, of a folder below cluster_configs/kuberay; of `gang+monitoring`: gang with that component."""
    plain, _, component = folder.partition("+")
    if not component:
        return kustomize(KUBERAY / folder)
    with tempfile.TemporaryDirectory() as room:
        copy = shutil.copytree(KUBERAY, Path(room) / "kuberay")
        use_comment(copy / plain, component)
        return kustomize(copy / plain)


def objects(folder: str) -> list[Document]:
    """The objects of a folder, fresh, so that a test may change them."""
    return read(rendered(folder))


def the(documents: list[Document], kind: str) -> Document:
    """The one object of a kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def ray_spec(documents: list[Document]) -> Document | None:
    """The cluster's spec, of a RayJob or a RayCluster; None where there is neither."""
    for document in documents:
        if document["kind"] == "RayJob":
            return document["spec"].get("rayClusterSpec")
        if document["kind"] == "RayCluster":
            return dict(document["spec"])
    return None


def groups(spec: Document) -> dict[str, Document]:
    """The head's and the workers' groups by name."""
    workers = {group["groupName"]: group for group in spec.get("workerGroupSpecs", [])}
    return {"head": spec["headGroupSpec"], **workers}


def made(name: str, labels: dict[str, str]) -> dict[str, str]:
    """The labels of a pod of the group `name`, with those that the operator adds."""
    kind = "head" if name == "head" else "worker"
    group = "headgroup" if name == "head" else name
    return {**labels, "ray.io/node-type": kind, "ray.io/group": group}


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """(name, pod template) of every pod there will be."""
    spec = ray_spec(documents)
    if spec is not None:
        for name, group in groups(spec).items():
            yield name, group["template"]
    for document in documents:
        if document["kind"] == "RayJob":
            yield "submitter", document["spec"]["submitterPodTemplate"]
        if document["kind"] == "StatefulSet":
            yield "redis", document["spec"]["template"]
        if document["kind"] == "Pod":
            yield document["metadata"]["name"], document
