"""Our own rules of Ray's pods: what the manifests say twice agrees, and what must fit into something does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kube_manifests import Document, groups

UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
LIMITS = {"/cache": "ITKM_CACHE_LIMIT", "/tmp": "ITKM_TMP_LIMIT"}
# Of Ray: its object store takes so much of the memory, and no more than so many bytes.
STORE_SHARE, STORE_MOST = 0.3, 200e9
RAYS_OWN = 1.5 * 2**30
"""Bytes for raylet and agents, and the dashboard of a head: 0.2 GB and 0.7 GB were measured without load."""
STOP_WITHIN = 30
"""Seconds in which a run that is told to stop has ended, or is killed."""


def size(quantity: str) -> float:
    """Bytes of a Kubernetes quantity of memory."""
    number, unit = re.fullmatch(r"(\d+)([MGT]i)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def complaints(spec: Document) -> Iterator[str]:
    """What is wrong with the pods of a RayCluster's spec."""
    for name, group in groups(spec).items():
        pod = group["template"]["spec"]
        container = pod["containers"][0]
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        for path, variable in LIMITS.items():
            for at in (each for each in mounts if each == path or each.startswith(f"{path}/")):
                limit = mounts[at]["emptyDir"]["sizeLimit"]
                if env.get(variable) != limit:
                    yield f"{name}: {variable} is {env.get(variable)}, the limit of {at} {limit}"
        has = size(container["resources"]["limits"]["memory"])
        tasks = group.get("resources", {}).get("memory")
        if tasks is None:
            yield f"{name}: no memory for tasks, who would be promised all there is"
        elif size(tasks) + min(STORE_SHARE * has, STORE_MOST) + RAYS_OWN > has:
            yield f"{name}: {tasks} for tasks leave no room for the object store and Ray"
        wait = int(env["RAY_JOB_STOP_WAIT_TIME_S"])
        if wait > STOP_WITHIN:
            yield f"{name}: a job that is stopped has {wait} s, more than {STOP_WITHIN}"
        if wait + STOP_WITHIN > pod["terminationGracePeriodSeconds"]:
            yield f"{name}: the hook and Ray's own end take longer than the pod has"
        if name != "head" and "preStop" not in container.get("lifecycle", {}):
            yield f"{name}: a run on an evicted pod is not told"


def disk_complaints(name: str, pod: Document) -> Iterator[str]:
    """Whether a pod asks its machine for all that its volumes on the machine's disk may take."""
    limits = [v["emptyDir"].get("sizeLimit") for v in pod.get("volumes", []) if "emptyDir" in v]
    if None in limits:
        yield f"{name}: a volume without a limit"
        return
    asked = [c["resources"]["requests"].get("ephemeral-storage", "0Gi") for c in pod["containers"]]
    if sum(map(size, asked)) != sum(map(size, limits)):
        yield f"{name}: {asked} asked of the machine's disk, {limits} may be taken"
