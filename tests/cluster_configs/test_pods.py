"""Pods have no more rights than they need, and Ray finds in them what it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from kube_manifests import APPLIED, VARIANTS, Document, groups, objects, pods, ray_spec, the
from pod_rules import disk_complaints

RAY_OUTSIDE = ("submitter", "redis")


def templates(overlay: str) -> dict[str, Document]:
    return dict(pods(objects(f"overlays/{overlay}")))


@pytest.mark.parametrize("folder", APPLIED)
def test_every_pod_passes_the_restricted_profile(folder: str) -> None:
    for _, template in pods(objects(folder)):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for volume in pod.get("volumes", []):
            assert volume.keys() & {"emptyDir", "persistentVolumeClaim"}
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container.get("ports", []))
    labels = the(objects("setup"), "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_pod_with_a_token_of_kubernetes_is_an_autoscaling_head(overlay: str) -> None:
    spec = ray_spec(objects(f"overlays/{overlay}"))
    scales = spec.get("enableInTreeAutoscaling", False)
    for name, template in templates(overlay).items():
        pod = template["spec"]
        if scales and name == "head":
            # The operator makes an account for it and binds the autoscaler's role to that one alone.
            assert pod["automountServiceAccountToken"] is True
            assert "serviceAccountName" not in pod
        else:
            assert pod["automountServiceAccountToken"] is False
            assert pod["serviceAccountName"] == "itkm"


def test_no_role_is_given_to_anyone() -> None:
    kinds = {document["kind"] for folder in APPLIED for document in objects(folder)}
    assert not {kind for kind in kinds if "Role" in kind}
    assert the(objects("setup"), "ServiceAccount")["automountServiceAccountToken"] is False


def test_the_autoscaler_runs_as_tightly_as_its_head() -> None:
    spec = ray_spec(objects("overlays/gang"))
    options, (head,) = (
        spec["autoscalerOptions"],
        spec["headGroupSpec"]["template"]["spec"]["containers"],
    )
    assert options["securityContext"] == head["securityContext"]
    volumes = {v["name"]: v for v in spec["headGroupSpec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in options["volumeMounts"]} <= volumes.keys()
    assert {"name": "HOME", "value": "/tmp"} in options["env"]
    # The operator mounts a volume `ray-logs` at /tmp/ray of both, without a limit, unless there is one.
    for mounts in (options["volumeMounts"], head["volumeMounts"]):
        assert {"name": "ray-logs", "mountPath": "/tmp/ray"} in mounts
    assert volumes["ray-logs"]["emptyDir"]["sizeLimit"]


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_pod_asks_for_the_disk_that_it_may_fill(overlay: str) -> None:
    for name, template in templates(overlay).items():
        assert list(disk_complaints(name, template["spec"])) == []


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_head_on_a_dead_machine_is_given_up_soon(overlay: str) -> None:
    for name in {"head", "redis"} & templates(overlay).keys():
        tolerations = templates(overlay)[name]["spec"]["tolerations"]
        seconds = {each["key"]: each["tolerationSeconds"] for each in tolerations}
        assert seconds == {f"node.kubernetes.io/{key}": 30 for key in ("unreachable", "not-ready")}
        for each in tolerations:
            assert (each["operator"], each["effect"]) == ("Exists", "NoExecute")


@pytest.mark.parametrize("overlay", VARIANTS)
def test_what_is_written_goes_to_a_volume(overlay: str) -> None:
    for name, template in templates(overlay).items():
        pod = template["spec"]
        (container,) = pod["containers"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        if name == "redis":
            continue  # of a claim template
        assert set(mounts.values()) == volumes.keys()
        assert "/tmp" in mounts
        env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        for variable in ("HOME", "ITKM_CACHE", "NUMBA_CACHE_DIR"):
            if variable in env or name not in RAY_OUTSIDE:
                assert any(
                    env[variable] == at or env[variable].startswith(f"{at}/") for at in mounts
                )
        for volume in volumes.values():
            if "emptyDir" in volume:  # a node's disk is shared
                assert volume["emptyDir"]["sizeLimit"]
        # The operator mounts /dev/shm as large as the memory; checkpoints never go to a node's own disk.
        assert "/dev/shm" not in mounts


@pytest.mark.parametrize("overlay", VARIANTS)
def test_every_ray_node_sees_the_storage(overlay: str) -> None:
    for name, template in templates(overlay).items():
        (container,) = template["spec"]["containers"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        secrets = [each["secretRef"]["name"] for each in container.get("envFrom", [])]
        if name in RAY_OUTSIDE:
            assert not secrets
        elif overlay in ("one-gpu-s3", "gang-kueue"):
            assert secrets == ["itkm-s3"]
            assert "/data" not in mounts
        else:
            (data,) = [v for v in template["spec"]["volumes"] if v["name"] == mounts["/data"]]
            claim = the(objects("claim"), "PersistentVolumeClaim")
            assert data["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
            assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("overlay", VARIANTS)
def test_tokens_are_on_and_nothing_turns_them_off(overlay: str) -> None:
    spec = ray_spec(objects(f"overlays/{overlay}"))
    assert spec["authOptions"] == {"mode": "token"}
    for group in groups(spec).values():
        (container,) = group["template"]["spec"]["containers"]
        assert not {e["name"] for e in container["env"] if e["name"].startswith("RAY_AUTH")}


@pytest.mark.parametrize("overlay", VARIANTS)
def test_no_secret_is_written_down(overlay: str) -> None:
    documents = objects(f"overlays/{overlay}")
    assert not [document for document in documents if document["kind"] == "Secret"]
    for _, template in pods(documents):
        for container in template["spec"]["containers"]:
            for entry in container.get("env", []):
                secret = any(w in entry["name"] for w in ("PASSWORD", "SECRET", "TOKEN", "KEY"))
                assert not (secret and "value" in entry), entry["name"]


@pytest.mark.parametrize("overlay", ["cluster", "gang", "gang-kueue"])
def test_the_heads_store_is_the_redis_beside_it(overlay: str) -> None:
    documents = objects(f"overlays/{overlay}")
    options = ray_spec(documents)["gcsFaultToleranceOptions"]
    service = the(documents, "Service")
    port = service["spec"]["ports"][0]["port"]
    assert options["redisAddress"] == f"{service['metadata']['name']}:{port}"
    redis = the(documents, "StatefulSet")["spec"]["template"]
    assert service["spec"]["selector"] == redis["metadata"]["labels"]
    (password,) = redis["spec"]["containers"][0]["env"]
    assert options["redisPassword"] == {"valueFrom": password["valueFrom"]}


def test_redis_is_one_version_and_is_restarted_when_it_hangs(tmp_path: Path) -> None:
    (redis,) = the(objects("overlays/gang"), "StatefulSet")["spec"]["template"]["spec"][
        "containers"
    ]
    assert re.fullmatch(
        r"[\w./-]+:(\d+\.\d+\.\d+(-\w+)?|[\w.-]+@sha256:[0-9a-f]{64})", redis["image"]
    )
    probe = redis["livenessProbe"]
    client = tmp_path / "redis-cli"
    client.write_text('#!/bin/sh\ntest "$REDISCLI_AUTH" = "p w" && echo "$ANSWER"\n')
    client.chmod(0o755)
    alive = {}
    for answer in ("PONG", "LOADING Redis is loading the dataset in memory", "NOAUTH", ""):
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "REDIS_PASSWORD": "p w", "ANSWER": answer}
        done = subprocess.run(probe["exec"]["command"], env=env, capture_output=True, check=False)
        alive[answer.split(" ")[0]] = done.returncode == 0
    assert alive == {"PONG": True, "LOADING": True, "NOAUTH": False, "": False}
    assert probe["timeoutSeconds"] < probe["periodSeconds"]
