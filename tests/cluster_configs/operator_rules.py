"""What KubeRay's operator refuses though the CRD's schema lets it pass."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kube_manifests import Document, groups, ray_spec
from packaging.version import Version

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LONGEST = {"RayJob": 47, "RayCluster": 63}
SUBMISSION_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
FIRST_WITH_TOKENS = Version("2.52.0")
# rayStartParams that say what `resources` of a group says.
OF_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
ALPHA = ("networkPolicy", "tlsOptions")  # behind feature gates that are off
QUEUE = "kueue.x-k8s.io/queue-name"


def refusals(document: Document) -> list[str]:
    """Why the operator (or Kueue, for a job in a queue) refuses a RayJob or RayCluster; empty: it does not."""
    kind, name = document["kind"], document["metadata"]["name"]
    found = []
    if len(name) > LONGEST[kind] or not DNS_1035.fullmatch(name):
        found.append(f"name {name!r}: at most {LONGEST[kind]} of a-z, 0-9 and -, a letter first")
    spec = ray_spec([document])
    if kind == "RayJob":
        found += _of_job(document, document["spec"])
    if spec:
        found += _of_cluster(spec)
    return found


def _of_job(document: Document, job: Document) -> Iterator[str]:
    shuts_down = job.get("shutdownAfterJobFinishes") is True
    if job.get("ttlSecondsAfterFinished") and not shuts_down:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if job.get("suspend") and not shuts_down:
        yield "suspend needs shutdownAfterJobFinishes"
    if shuts_down and job.get("deletionStrategy", {}).get("deletionRules"):
        yield "shutdownAfterJobFinishes excludes deletionStrategy.deletionRules"
    mode = job.get("submissionMode", "K8sJobMode")
    if mode not in SUBMISSION_MODES:
        yield f"submissionMode {mode!r}: expected one of {SUBMISSION_MODES}"
    if mode == "SidecarMode" and {"submitterConfig", "submitterPodTemplate"} & job.keys():
        yield "SidecarMode forbids submitterConfig and submitterPodTemplate"
    if job.get("clusterSelector") and job.get("backoffLimit"):
        yield "backoffLimit is not for a job with a clusterSelector"
    if not job.get("clusterSelector") and not job.get("rayClusterSpec"):
        yield "neither rayClusterSpec nor clusterSelector"
    if QUEUE in document["metadata"].get("labels", {}):
        if "suspend" in job:
            yield "suspend is Kueue's to set"
        if job.get("rayClusterSpec", {}).get("enableInTreeAutoscaling"):
            yield "a job in a Kueue queue does not autoscale"
        if not shuts_down:
            yield "a job in a Kueue queue needs shutdownAfterJobFinishes"


def _of_cluster(spec: Document) -> Iterator[str]:
    autoscales = spec.get("enableInTreeAutoscaling") is True
    v2 = autoscales and spec.get("autoscalerOptions", {}).get("version") == "v2"
    version = spec.get("rayVersion")
    if spec.get("authOptions", {}).get("mode") == "token" and (
        not version or Version(version) < FIRST_WITH_TOKENS
    ):
        yield f"authOptions token needs rayVersion {FIRST_WITH_TOKENS} or newer, not {version}"
    for field in ALPHA:
        if field in spec:
            yield f"{field} is behind a feature gate that is off"
    if spec.get("gcsFaultToleranceOptions", {}).get("backend") == "rocksdb":
        yield "the RocksDB store is behind a feature gate that is off"
    for name, group in groups(spec).items():
        both = [param for param in OF_RESOURCES if param in group.get("rayStartParams", {})]
        if both and group.get("resources"):
            yield f"group {name}: {both} in rayStartParams beside resources"
        if v2 and group["template"]["spec"].get("restartPolicy", "Never") != "Never":
            yield f"group {name}: autoscaler v2 needs restartPolicy Never or none"
        if "idleTimeoutSeconds" in group and not v2:
            yield f"group {name}: idleTimeoutSeconds needs autoscaler v2"
        if name != "head" and not autoscales and not {"minReplicas", "maxReplicas"} <= group.keys():
            yield f"group {name}: minReplicas and maxReplicas are needed without autoscaling"


LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Of the five random characters that Kubernetes puts behind a name."""


def makes(document: Document) -> set[tuple[str, str]]:
    """(kind, regular expression of the name) of what the operator makes for a RayJob or RayCluster."""
    name = re.escape(document["metadata"]["name"])
    found = {("Service", f"{name}-head-svc")}
    cluster = name
    if document["kind"] == "RayJob":
        cluster = rf"{name}(-raycluster)?-[{LETTERS}]{{5}}"
        found |= {("Job", name), ("RayCluster", cluster), ("Service", f"{cluster}-head-svc")}
    found |= {(kind, cluster) for kind in ("Secret", "ServiceAccount", "Role", "RoleBinding")}
    return found | {("Job", f"{cluster}-redis-cleanup")}


def collisions(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is in both, as (kind, name or pattern)."""
    return [
        (kind, name)
        for kind, name in sorted(one)
        for other_kind, other_name in other
        if kind == other_kind
        and (name == other_name or re.fullmatch(other_name, name) or re.fullmatch(name, other_name))
    ]
