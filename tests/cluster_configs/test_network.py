"""What can reach what, with the policies of `setup` and of an overlay together."""

from __future__ import annotations

import itertools

import pytest
from kube_manifests import MONITORED, VARIANTS, Document, objects, pods
from network import OUTSIDE, Peer, allowed, at

GCS, DASHBOARD, CLIENT, RAYLET = 6379, 8265, 10001, 31234
METRICS = {"metrics": 8080, "as-metrics": 44217, "dash-metrics": 44227}
OPERATOR = Peer({"app.kubernetes.io/name": "kuberay-operator"}, "kuberay-operator")
PROMETHEUS = Peer({"app.kubernetes.io/name": "prometheus"}, "monitoring")
STRANGER = Peer({"app.kubernetes.io/part-of": "itkm"}, "default")
NEIGHBOUR = Peer({"app": "notebook"})
# A label is anyone's to put on a pod: only the operator's namespace makes it the operator.
IMPOSTERS = [Peer(OPERATOR.labels), Peer(OPERATOR.labels, "default")]
WITH_REDIS = {"cluster", "gang", "gang-kueue", *MONITORED}
WITH_S3 = {"one-gpu-s3", "gang-kueue"}


def scene(overlay: str) -> tuple[list[Document], dict[str, Peer]]:
    documents = objects("setup") + objects(f"overlays/{overlay}")
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    peers = {}
    for name, template in pods(documents):
        ports = [p for c in template["spec"]["containers"] for p in c.get("ports", [])]
        peers[name] = Peer(
            template["metadata"]["labels"],
            port_names={port["name"]: port["containerPort"] for port in ports},
        )
    return policies, peers


def ray_nodes(peers: dict[str, Peer]) -> dict[str, Peer]:
    return {name: peer for name, peer in peers.items() if name not in ("submitter", "redis")}


@pytest.mark.parametrize("overlay", VARIANTS)
def test_ray_nodes_reach_each_other_on_every_port(overlay: str) -> None:
    policies, peers = scene(overlay)
    for one, other in itertools.product(ray_nodes(peers).values(), repeat=2):
        assert all(allowed(policies, one, other, port) for port in (GCS, CLIENT, RAYLET))


@pytest.mark.parametrize("overlay", VARIANTS)
def test_what_ray_leaves_open_is_closed_to_the_rest(overlay: str) -> None:
    policies, peers = scene(overlay)
    strangers = (STRANGER, NEIGHBOUR, OPERATOR, OUTSIDE, peers.get("redis", NEIGHBOUR))
    for node, stranger in itertools.product(ray_nodes(peers).values(), strangers):
        for port in (GCS, CLIENT, RAYLET, *METRICS.values()):
            assert not allowed(policies, stranger, node, port)


@pytest.mark.parametrize("overlay", VARIANTS)
def test_the_dashboard_is_for_the_operator_and_the_submitter(overlay: str) -> None:
    policies, peers = scene(overlay)
    assert allowed(policies, OPERATOR, peers["head"], DASHBOARD)
    for stranger in (STRANGER, NEIGHBOUR, OUTSIDE, PROMETHEUS, *IMPOSTERS):
        assert not allowed(policies, stranger, peers["head"], DASHBOARD)
    if "submitter" in peers:
        assert allowed(policies, peers["submitter"], peers["head"], DASHBOARD)
        assert not allowed(policies, peers["submitter"], peers["head"], GCS)
        assert not allowed(policies, peers["submitter"], peers["driver"], RAYLET)


@pytest.mark.parametrize("overlay", VARIANTS)
def test_only_prometheus_reads_metrics_and_only_where_there_is_a_monitor(overlay: str) -> None:
    policies, peers = scene(overlay)
    for node in ray_nodes(peers).values():
        for name in METRICS.keys() & node.port_names:
            assert allowed(policies, PROMETHEUS, node, METRICS[name]) == (overlay in MONITORED)
        assert not allowed(policies, PROMETHEUS, node, GCS)


@pytest.mark.parametrize("overlay", VARIANTS)
def test_redis_speaks_with_the_head_alone(overlay: str) -> None:
    policies, peers = scene(overlay)
    assert ("redis" in peers) == (overlay in WITH_REDIS)
    if "redis" in peers:
        redis = peers.pop("redis")
        may = {name for name, peer in peers.items() if allowed(policies, peer, redis, 6379)}
        assert may == {"head"}
        assert not any(allowed(policies, redis, node, GCS) for node in peers.values())
        assert not allowed(policies, redis, OUTSIDE, 443)


@pytest.mark.parametrize("overlay", VARIANTS)
def test_the_world_outside_is_reached_for_names_and_what_an_overlay_needs(overlay: str) -> None:
    policies, peers = scene(overlay)
    for name, peer in peers.items():
        assert allowed(policies, peer, OUTSIDE, 53, "UDP")
        assert not allowed(policies, peer, OUTSIDE, 80)
        storage = overlay in WITH_S3 and name in ray_nodes(peers)
        kubernetes = overlay.startswith("gang") and overlay != "gang-kueue" and name == "head"
        assert allowed(policies, peer, OUTSIDE, 443) == (storage or kubernetes)
        assert allowed(policies, peer, OUTSIDE, 6443) == kubernetes


# Where clouds give credentials to pods without keys: EKS (two families), a machine's metadata, GKE with two networks.
IDENTITY = [
    ("169.254.170.23", 80),
    ("fd00:ec2::23", 80),
    ("169.254.169.254", 80),
    ("169.254.169.254", 8080),
    ("169.254.169.252", 987),
    ("169.254.169.252", 988),
]


@pytest.mark.parametrize("overlay", VARIANTS)
def test_credentials_of_the_cloud_are_for_ray_nodes_where_that_is_asked_for(overlay: str) -> None:
    policies, peers = scene(overlay)
    asked = policies + objects("identity")
    for name, peer in peers.items():
        for address, port in IDENTITY:
            assert not allowed(policies, peer, at(address), port)
            assert allowed(asked, peer, at(address), port) == (name in ray_nodes(peers))
            assert not allowed(asked, peer, at(address), 22)
        assert not allowed(asked, peer, at("169.254.169.253"), 80)


def reached(policies: list[Document], peers: dict[str, Peer]) -> set[tuple[str, str, int]]:
    """Every connection of the pods with each other and the rest of the world that is allowed: from, to, port."""
    others = {"operator": OPERATOR, "prometheus": PROMETHEUS, "neighbour": NEIGHBOUR}
    every = {**peers, **others, "outside": OUTSIDE}
    ports = (GCS, DASHBOARD, RAYLET, 443, 6443, 9090, *METRICS.values())
    return {
        (one, other, port)
        for (one, source), (other, target) in itertools.permutations(every.items(), 2)
        if one in peers or other in peers
        for port in ports
        if allowed(policies, source, target, port)
    }


@pytest.mark.parametrize("old", VARIANTS)
def test_what_an_overlay_leaves_behind_opens_nothing_to_the_next(old: str) -> None:
    left, _ = scene(old)
    for overlay in VARIANTS:
        policies, peers = scene(overlay)
        own = [policy["metadata"]["name"] for policy in policies]
        both = [*policies, *(each for each in left if each["metadata"]["name"] not in own)]
        assert reached(both, peers) == reached(policies, peers), overlay


@pytest.mark.parametrize("overlay", VARIANTS)
def test_a_job_beside_the_cluster_reaches_its_own_redis_alone(overlay: str) -> None:
    (policies, peers), (others, standing) = scene(overlay), scene("cluster+monitoring")
    if overlay.startswith("cluster"):
        return
    for one, other in ((peers, standing), (standing, peers)):
        if "redis" in other:
            assert not allowed([*policies, *others], one["head"], other["redis"], GCS)


def test_without_policies_everything_is_open() -> None:
    _, peers = scene("one-gpu")
    assert allowed([], STRANGER, peers["head"], GCS)
