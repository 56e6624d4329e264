"""Every rule refuses what it is there to refuse, and nothing that is shipped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kube_manifests import APPLIED, VARIANTS, Document, objects
from operator_rules import collisions, makes, refusals


def ray_objects(overlay: str) -> list[Document]:
    found = [d for d in objects(f"overlays/{overlay}") if d["apiVersion"].startswith("ray.io/")]
    assert found
    return found


@pytest.mark.parametrize("overlay", VARIANTS)
def test_the_operator_takes_every_overlay(overlay: str) -> None:
    assert [refusals(document) for document in ray_objects(overlay)] == [[]]


def set_job(**fields: object) -> Callable[[Document], None]:
    return lambda document: document["spec"].update(fields)


def set_cluster(**fields: object) -> Callable[[Document], None]:
    return lambda document: document["spec"]["rayClusterSpec"].update(fields)


def set_group(row: int, **fields: object) -> Callable[[Document], None]:
    return lambda document: document["spec"]["rayClusterSpec"]["workerGroupSpecs"][row].update(
        fields
    )


def rename(name: str) -> Callable[[Document], None]:
    return lambda document: document["metadata"].update(name=name)


def queue(document: Document) -> None:
    document["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "q"}


def restart(document: Document) -> None:
    group = document["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    group["template"]["spec"]["restartPolicy"] = "Always"


def drop(*path: str | int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        node = document["spec"]
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]

    return change


BROKEN = {
    "name 'itkm-": rename("itkm-" + 43 * "x"),
    "name '0itkm'": rename("0itkm"),
    "name 'itkm.run'": rename("itkm.run"),
    "ttlSecondsAfterFinished needs": drop("shutdownAfterJobFinishes"),
    "suspend needs": set_job(suspend=True, shutdownAfterJobFinishes=False),
    "excludes deletionStrategy": set_job(deletionStrategy={"deletionRules": [{}]}),
    "submissionMode 'K8SJobMode'": set_job(submissionMode="K8SJobMode"),
    "SidecarMode forbids": set_job(submissionMode="SidecarMode"),
    "backoffLimit is not for": set_job(clusterSelector={"ray.io/cluster": "itkm"}),
    "neither rayClusterSpec nor": drop("rayClusterSpec"),
    "does not autoscale": queue,
    "token needs rayVersion 2.52.0 or newer, not None": drop("rayClusterSpec", "rayVersion"),
    "token needs rayVersion 2.52.0 or newer, not 2.51.1": set_cluster(rayVersion="2.51.1"),
    "networkPolicy is behind": set_cluster(networkPolicy={"mode": "DenyAll"}),
    "tlsOptions is behind": set_cluster(tlsOptions={"enabled": True}),
    "the RocksDB store is behind": set_cluster(gcsFaultToleranceOptions={"backend": "rocksdb"}),
    "['num-cpus'] in rayStartParams beside": set_group(0, rayStartParams={"num-cpus": "0"}),
    "group driver: autoscaler v2 needs restartPolicy": restart,
    "group gpu: idleTimeoutSeconds needs": lambda document: (
        set_cluster(enableInTreeAutoscaling=False)(document),
        set_group(1, idleTimeoutSeconds=60)(document),
    ),
    "group gpu: minReplicas and maxReplicas": lambda document: (
        set_cluster(enableInTreeAutoscaling=False)(document),
        drop("rayClusterSpec", "workerGroupSpecs", 1, "maxReplicas")(document),
    ),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_broken_rule_is_found(words: str) -> None:
    (job,) = ray_objects("gang")
    BROKEN[words](job)
    assert any(words in refusal for refusal in refusals(job)), refusals(job)


def test_kueue_keeps_suspend_for_itself() -> None:
    (job,) = ray_objects("gang-kueue")
    job["spec"]["suspend"] = True
    assert refusals(job) == ["suspend is Kueue's to set"]
    del job["spec"]["suspend"], job["spec"]["shutdownAfterJobFinishes"]
    assert "a job in a Kueue queue needs shutdownAfterJobFinishes" in refusals(job)


def test_what_the_operator_makes_bears_no_name_twice() -> None:
    """A cluster whose Service belongs to a job gets no pods. All jobs have one name: they replace each other."""
    owners = {}
    for overlay in VARIANTS:
        for document in ray_objects(overlay):
            owners[document["kind"], document["metadata"]["name"]] = makes(document)
    assert owners.keys() == {("RayJob", "itkm"), ("RayCluster", "itkm-cluster")}
    ours = {("Secret", f"itkm-{name}") for name in ("s3", "redis")}
    for folder in APPLIED:
        ours |= {(document["kind"], document["metadata"]["name"]) for document in objects(folder)}
    job, cluster = owners.values()
    assert collisions(job, cluster) == []
    assert [collisions(ours, each) for each in owners.values()] == [[], []]


def test_the_same_name_for_both_kinds_would_collide() -> None:
    (job,), (cluster,) = ray_objects("gang"), ray_objects("cluster")
    cluster["metadata"]["name"] = "itkm"
    assert ("Service", "itkm-head-svc") in collisions(makes(job), makes(cluster))
    cluster["metadata"]["name"] = "itkm-x2b4c"
    assert ("RayCluster", "itkm-x2b4c") in collisions({("RayCluster", "itkm-x2b4c")}, makes(job))
